import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts CPU time in hundredths of a second. */
const ticksPerSecond = 100

/**
 * CPU time so far, in seconds, of these processes and of all that they started and that still run; from
 * /proc, in steps of 0.01 s a process. Children that have ended count where their parent waited for them.
 */
export function treeCpuSeconds(heads: readonly number[]): number {
  const children = new Map<number, number[]>()
  const ticks = new Map<number, number>()
  for (const pid of readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))) {
    const fields = statFields(pid)
    const parent = Number(fields[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
    // utime, stime, cutime, cstime: proc(5).
    ticks.set(
      pid,
      fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0),
    )
  }
  const treeTicks = (pid: number): number =>
    (children.get(pid) ?? []).reduce((sum, child) => sum + treeTicks(child), ticks.get(pid) ?? 0)
  return heads.reduce((sum, pid) => sum + treeTicks(pid), 0) / ticksPerSecond
}

/** The fields of /proc/<pid>/stat after the name, which may hold spaces: state, parent, ... Empty where it is gone. */
function statFields(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}
