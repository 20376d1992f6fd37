import { readdirSync, readFileSync } from 'node:fs'

/** What a process holds now, from Linux' /proc. */
export interface Holding {
  /** Resident memory. */
  rssBytes: number
  /** Open files and sockets. */
  descriptors: number
}

export function holdingOf(pid: number): Holding {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0)
  return { rssBytes: kilobytes * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

/** The slope of a least-squares line through samples, per minute: what something grows by. */
export function growthPerMinute(samples: readonly { at: number; value: number }[]): number {
  const count = samples.length
  const meanAt = samples.reduce((sum, { at }) => sum + at, 0) / count
  const meanValue = samples.reduce((sum, { value }) => sum + value, 0) / count
  let above = 0
  let below = 0
  for (const { at, value } of samples) {
    above += (at - meanAt) * (value - meanValue)
    below += (at - meanAt) ** 2
  }
  return below === 0 ? 0 : (above / below) * 60_000
}
