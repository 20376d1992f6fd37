import { readdirSync, readFileSync } from 'node:fs'

/** CPU time in seconds: in the program itself, and in the kernel on its behalf. */
export interface CpuTime {
  user: number
  system: number
}

/** Linux counts CPU time in hundredths of a second, of a process with all its threads. */
const ticksPerSecond = 100
const pageBytes = 4096

/** CPU time of a process so far, from /proc; 0 where it is gone. */
export function cpuTime(pid: number): CpuTime {
  const fields = statFields(pid)
  return { user: Number(fields[11] ?? 0) / ticksPerSecond, system: Number(fields[12] ?? 0) / ticksPerSecond }
}

/** CPU time that all processes of this machine, or of its container where that is what /proc shows, have used. */
export function machineCpuSeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)
    .join('')
    .split(/\s+/)
    .map(Number)
  return (user + nice + system + irq + softirq) / ticksPerSecond
}

/** Memory that a process holds in RAM, in bytes; 0 where it is gone. */
export function residentBytes(pid: number): number {
  return Number(statFields(pid)[21] ?? 0) * pageBytes
}

/** The processes that `pid` started and that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((candidate) => Number(statFields(candidate)[1]) === pid)
}

/** The fields of /proc/<pid>/stat after the name, which may hold spaces: state, parent, ... */
function statFields(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}
