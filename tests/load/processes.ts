import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts a process's and the machine's CPU time in hundredths of a second. */
const ticksPerSecond = 100
const pageBytes = 4096

/**
 * CPU seconds of a process so far; 0 where it is gone. Summed over its threads in nanoseconds, or, where the kernel
 * doesn't tell that, in hundredths of a second.
 */
export function cpuSeconds(pid: number): number {
  const threads = listOf(`/proc/${pid}/task`)
  const used = threads.map((thread) => /^\d+/.exec(textOf(`/proc/${pid}/task/${thread}/schedstat`))?.[0])
  const nanoseconds = used.reduce((sum, each) => sum + Number(each ?? 0), 0)
  if (nanoseconds > 0) return nanoseconds / 1e9
  const fields = statFields(pid)
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond
}

/** The idle time of all cores together so far, and how many cores that is; of a container where that is what /proc shows. */
export function readMachine(): { idleSeconds: number; cores: number } {
  const lines = textOf('/proc/stat').split('\n')
  const [, , , , idle = 0, waiting = 0] = (lines[0] ?? '').split(/\s+/).map(Number)
  return {
    idleSeconds: (idle + waiting) / ticksPerSecond,
    cores: lines.filter((line) => /^cpu\d/.test(line)).length,
  }
}

/** Memory that a process holds in RAM, in bytes; 0 where it is gone. */
export function residentBytes(pid: number): number {
  return Number(statFields(pid)[21] ?? 0) * pageBytes
}

/** The parent of every process that runs. */
export type ProcessTable = ReadonlyMap<number, number>

/** Reads it from /proc: a few milliseconds where hundreds run. */
export function readProcessTable(): ProcessTable {
  const pids = listOf('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []))
  return new Map(pids.map((pid) => [pid, Number(statFields(pid)[1] ?? 0)]))
}

/** The processes that `pid` started and that still run. */
export function childrenOf(pid: number, table: ProcessTable = readProcessTable()): number[] {
  return [...table].flatMap(([child, parent]) => (parent === pid ? [child] : []))
}

/** A process and all that descend from it. */
export function treeOf(pid: number, table: ProcessTable = readProcessTable()): number[] {
  return [pid, ...childrenOf(pid, table).flatMap((child) => treeOf(child, table))]
}

/** The fields of /proc/<pid>/stat after the name, which may hold spaces: state, parent, ... Empty where it is gone. */
function statFields(pid: number): string[] {
  const text = textOf(`/proc/${pid}/stat`)
  return text === '' ? [] : text.replace(/^.*\) /s, '').split(' ')
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function listOf(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
