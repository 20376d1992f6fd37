import { readdirSync, readFileSync } from 'node:fs'

import { slope } from '@vision-queue/load/statistics'

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

/** What something grows by: the slope of the straight line through the samples, `at` in milliseconds. */
export function growthPerMinute(samples: readonly { at: number; value: number }[]): number {
  return slope(samples.map(({ at, value }) => ({ x: at / 60_000, y: value })))
}
