import type { BatchCost } from '@vision-queue/protocol'

/** Learns how many jobs a second a pool's engines get through when they always have work. */
export interface CapacityMeter {
  /**
   * To be called with each answers message, before its jobs are taken off their engine. `cpuMs`: CPU time of
   * the engine since its message before; null where it is not known. `busy`: all engines had plenty to do, at
   * least half a batch of the size that is worth its latency, and this one has something left.
   */
  observe: (message: { answered: number; batches: number; cpuMs: number | null; busy: boolean }) => void
  /** Jobs a second; null before anything is known. */
  capacity: (now: { cost: BatchCost | null; engines: number }) => number | null
}

const windowMs = 500
const leastJobs = 16
const windowRate = 0.3
const forgettingPerJob = 0.995
/** Of the CPU time to decode a picture and to answer, where no job was measured yet: of 0.3 megapixels. */
const guessedCpuMs = 3

/**
 * In this order: the rate at which jobs were answered while all engines had plenty to do, over windows of half a
 * second, each of which weighs 30 %; before the first such window the smaller of what the cores
 * allow (decoding takes place in the engines' threads, on the same cores: their CPU time per job) and what the
 * engines' runs allow. Never less than the rates that were really seen of late, whatever the load was.
 */
export function createCapacityMeter({
  cores,
  now = () => performance.now(),
}: {
  cores: number
  now?: () => number
}): CapacityMeter {
  let measured: number | null = null
  let seen = 0
  const busy = { since: null as number | null, jobs: 0, ms: 0 }
  const any = { since: null as number | null, jobs: 0 }
  const cpu = { jobs: 0, batches: 0, ms: 0 }

  function observeBusy(answered: number, isBusy: boolean, at: number): void {
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
    measured = measured === null ? rate : measured + windowRate * (rate - measured)
    busy.jobs = 0
    busy.ms = 0
  }

  function observeAny(answered: number, at: number): void {
    if (any.since === null || at - any.since > 4 * windowMs) {
      any.since = at
      any.jobs = 0
      return
    }
    any.jobs += answered
    if (at - any.since < 2 * windowMs || any.jobs < leastJobs) return
    seen = Math.max((any.jobs / (at - any.since)) * 1000, 0.9 * seen)
    any.since = at
    any.jobs = 0
  }

  function guess(cost: BatchCost | null, engines: number): number | null {
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

  return {
    observe({ answered, batches, cpuMs, busy: isBusy }) {
      if (answered === 0) return
      const at = now()
      observeBusy(answered, isBusy, at)
      observeAny(answered, at)
      if (cpuMs === null) return
      const keep = forgettingPerJob ** answered
      cpu.jobs = cpu.jobs * keep + answered
      cpu.batches = cpu.batches * keep + batches
      cpu.ms = cpu.ms * keep + cpuMs
    },
    capacity({ cost, engines }) {
      const best = Math.max(measured ?? guess(cost, engines) ?? 0, seen)
      return best === 0 ? null : best
    },
  }
}
