/** CPU seconds so far, by process id. */
export type CpuByProcess = ReadonlyMap<number, number>

/** A process that does a part of the work, such as `API` or `Redis`. */
export interface Part {
  part: string
  pid: number
}

/** What is read of the machine at each edge of a window. */
export interface Look {
  /** `performance.now()`. */
  atMs: number
  /** Of every process that belongs to the benchmark, those under load and those that wait for their turn. */
  cpu: CpuByProcess
  /** CPU seconds that all cores together have been idle. */
  idleSeconds: number
  cores: number
}

/** What a load has done since it was asked before. */
export interface Tally {
  jobs: number
  failures: number
  /** What the first failure was. */
  failure: string | null
  p50Ms: number | null
  p99Ms: number | null
  /** The median of what an answer took beyond the decoding and inference that the job told of. */
  beyondP50Ms: number | null
}

/** One subject under load for about a second. */
export interface Window extends Tally {
  seconds: number
  perSecond: number
  /** CPU microseconds a job, by part. Those of the load generator are under `clients`. */
  cpuUs: Readonly<Record<string, number>>
  /** The share of all cores (0 to 1) that went to processes which don't belong to the benchmark. */
  othersShare: number
}

/** The part under which a load generator's CPU time is told. It is no part of a job's cost. */
export const clientsPart = 'clients'

/** A window from what was read at its two edges. */
export function windowOf(before: Look, after: Look, parts: readonly Part[], tally: Tally): Window {
  const seconds = (after.atMs - before.atMs) / 1000
  const cpuUs: Record<string, number> = {}
  for (const { part, pid } of parts) {
    cpuUs[part] = (cpuUs[part] ?? 0) + (usedBy(pid, before.cpu, after.cpu) / Math.max(1, tally.jobs)) * 1e6
  }
  return { ...tally, seconds, perSecond: tally.jobs / seconds, cpuUs, othersShare: othersShare(before, after) }
}

/**
 * The share of all cores that other processes took: what was not idle less what the benchmark's own processes used.
 * Time that other virtual machines took from this one (steal) is not idle, so it counts as taken.
 */
export function othersShare(before: Look, after: Look): number {
  const available = ((after.atMs - before.atMs) / 1000) * after.cores
  const busy = available - (after.idleSeconds - before.idleSeconds)
  const ours = [...after.cpu.keys()].reduce((sum, pid) => sum + usedBy(pid, before.cpu, after.cpu), 0)
  return Math.min(1, Math.max(0, (busy - ours) / available))
}

/** A process that began inside the window counts from 0; one that ended in it can't be read any more. */
function usedBy(pid: number, before: CpuByProcess, after: CpuByProcess): number {
  return Math.max(0, (after.get(pid) ?? 0) - (before.get(pid) ?? 0))
}

/** Of loads that run side by side, whose times are not told. */
export function sumOf(tallies: readonly Tally[]): Tally {
  return {
    jobs: tallies.reduce((sum, { jobs }) => sum + jobs, 0),
    failures: tallies.reduce((sum, { failures }) => sum + failures, 0),
    failure: tallies.map(({ failure }) => failure).find((failure) => failure !== null) ?? null,
    p50Ms: null,
    p99Ms: null,
    beyondP50Ms: null,
  }
}
