import { readFile } from 'node:fs/promises'

/** Resident memory of another process in bytes, from Linux' /proc; null where there is none, or no such process. */
export async function readResidentBytes(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? []
  return kilobytes === undefined ? null : Number(kilobytes) * 1024
}
