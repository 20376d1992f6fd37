import { readFileSync } from 'node:fs'

/** Whether a process still runs; one that has ended and was not collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    // No /proc on this system, or gone in the meantime, which the next look will tell.
    return true
  }
}
