import type { BatchCost } from '@vision-queue/protocol'

/** What is needed to tell how many jobs a second a pool's engines get through when they always have work. */
export interface CapacityFigures {
  /** Jobs a second while all engines had plenty to do; null before that was seen. */
  measured: number | null
  /** The highest rate that was seen of late, whatever the load was. */
  seen: number
  busy: { since: number | null; jobs: number; ms: number }
  any: { since: number | null; jobs: number }
  cpu: { jobs: number; batches: number; ms: number }
}

const windowMs = 500
const leastJobs = 16
const windowRate = 0.3
const forgettingPerJob = 0.995
/** Of the CPU time to decode a picture and to answer, if no job was measured yet: of 0.3 megapixels. */
const guessedCpuMs = 3

export function newCapacityFigures(): CapacityFigures {
  return {
    measured: null,
    seen: 0,
    busy: { since: null, jobs: 0, ms: 0 },
    any: { since: null, jobs: 0 },
    cpu: { jobs: 0, batches: 0, ms: 0 },
  }
}

export interface AnsweredJobs {
  answered: number
  batches: number
  /** CPU time of the engine since its message before; null: not known. */
  cpuMs: number | null
  /** All engines had plenty to do, at least half a batch of the size that is worth its latency, and this one has something left. */
  busy: boolean
}

/** Learns from an answers message that came at `at`, in milliseconds by a monotonic clock. */
export function observeAnswers(figures: CapacityFigures, message: AnsweredJobs, at: number): void {
  const { answered, batches, cpuMs } = message
  if (answered === 0) return
  observeBusy(figures, message, at)
  observeAny(figures, answered, at)
  if (cpuMs === null) return
  const { cpu } = figures
  const keep = forgettingPerJob ** answered
  cpu.jobs = cpu.jobs * keep + answered
  cpu.batches = cpu.batches * keep + batches
  cpu.ms = cpu.ms * keep + cpuMs
}

/**
 * Jobs a second; null before anything is known. In this order: the rate at which jobs were answered while all
 * engines had plenty to do, over windows of half a second, each of which weighs 30 %; before the first such window
 * the smaller of what the cores allow (decoding takes place in the engines' threads, on the same cores: their CPU
 * time per job) and what the engines' runs allow. Never less than the rates that were really seen of late.
 */
export function jobsPerSecond(
  figures: CapacityFigures,
  machine: { cost: BatchCost | null; engines: number; cores: number },
): number | null {
  const best = Math.max(figures.measured ?? guess(figures, machine) ?? 0, figures.seen)
  return best === 0 ? null : best
}

function observeBusy(figures: CapacityFigures, { answered, busy: isBusy }: AnsweredJobs, at: number): void {
  const { busy, measured } = figures
  if (!isBusy) {
    // The first answers after a lull began before it: only what follows them is counted.
    busy.since = null
    return
  }
  if (busy.since !== null) {
    busy.jobs += answered
    busy.ms += at - busy.since
  }
  busy.since = at
  if (busy.ms < windowMs || busy.jobs < leastJobs) return
  const rate = (busy.jobs / busy.ms) * 1000
  figures.measured = measured === null ? rate : measured + windowRate * (rate - measured)
  busy.jobs = 0
  busy.ms = 0
}

function observeAny(figures: CapacityFigures, answered: number, at: number): void {
  const { any } = figures
  if (any.since === null || at - any.since > 4 * windowMs) {
    any.since = at
    any.jobs = 0
    return
  }
  any.jobs += answered
  if (at - any.since < 2 * windowMs || any.jobs < leastJobs) return
  figures.seen = Math.max((any.jobs / (at - any.since)) * 1000, 0.9 * figures.seen)
  any.since = at
  any.jobs = 0
}

function guess(
  { cpu }: CapacityFigures,
  { cost, engines, cores }: { cost: BatchCost | null; engines: number; cores: number },
): number | null {
  if (cost === null && cpu.jobs === 0) return null
  const size = cost?.batchSize ?? 1
  const { fixedMs = 0, perItemMs = 0 } = cost ?? {}
  // What full batches save of the launches that were paid for.
  const batchesPerJob = cpu.jobs === 0 ? 1 / size : cpu.batches / cpu.jobs
  const cpuMs = cpu.jobs === 0 ? guessedCpuMs + fixedMs / size + perItemMs : cpu.ms / cpu.jobs
  const savedMs = Math.min(cpuMs / 2, fixedMs * Math.max(0, batchesPerJob - 1 / size))
  const byCores = cores / (cpuMs - savedMs)
  const byRuns = cost === null ? Infinity : engines / (fixedMs / size + perItemMs)
  return Math.min(byCores, byRuns) * 1000
}
