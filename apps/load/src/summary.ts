import type { LoadRun } from './run-load.ts'
import type { Sample } from './sample.ts'
import { percentileOfSorted } from './statistics.ts'

/** Of some durations, in milliseconds; NaN where there are none. */
export interface Percentiles {
  count: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** What a load came to. Latencies are those of jobs that succeeded, from their scheduled times. */
export interface LoadSummary {
  seconds: number
  /** Answers with a succeeded job during the measurement, and per second. */
  succeeded: number
  perSecond: number
  /** Requests due during the measurement. */
  sent: number
  /** Everything that was neither a success nor a refusal with 429. */
  errors: number
  refused: number
  outcomes: Record<string, number>
  latency: Percentiles
  /** How late the generator itself sent; where that is not small against the latency, it was too busy to be believed. */
  lateness: Percentiles
  cpuSeconds: number
}

export function summarise({ samples, durationMs, cpuSeconds }: LoadRun): LoadSummary {
  const due = samples.filter(({ scheduledMs }) => scheduledMs >= 0)
  const good = due.filter(isSuccess)
  // Throughput is what was finished in the time, whenever it was sent.
  const finished = samples.filter((sample) => isSuccess(sample) && sample.doneMs >= 0 && sample.doneMs <= durationMs)
  const refused = due.filter(({ status }) => status === 429).length
  const outcomes: Record<string, number> = {}
  for (const { outcome } of due) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  return {
    seconds: durationMs / 1000,
    succeeded: finished.length,
    perSecond: finished.length / (durationMs / 1000),
    sent: due.length,
    errors: due.length - good.length - refused,
    refused,
    outcomes,
    latency: percentiles(good.map(latencyMs)),
    lateness: percentiles(due.map(({ scheduledMs, sentMs }) => sentMs - scheduledMs)),
    cpuSeconds,
  }
}

export function isSuccess({ outcome }: Pick<Sample, 'outcome'>): boolean {
  return outcome === 'succeeded'
}

/** From the time at which the request was due to the end of its answer. */
export function latencyMs({ scheduledMs, doneMs }: Pick<Sample, 'scheduledMs' | 'doneMs'>): number {
  return doneMs - scheduledMs
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).toSorted()
  const at = (share: number): number => percentileOfSorted(sorted, share)
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

/** One second of a load, by when its answers came. */
export interface LoadSecond {
  second: number
  succeeded: number
  others: number
  latency: Percentiles
}

/** Second by second. Seconds in which nothing was answered are there too. */
export function bySecond(samples: readonly Sample[], durationMs: number): LoadSecond[] {
  const groups = Array.from({ length: Math.ceil(durationMs / 1000) }, (): Sample[] => [])
  for (const sample of samples) groups[Math.floor(sample.doneMs / 1000)]?.push(sample)
  return groups.map((group, second) => {
    const good = group.filter(isSuccess)
    return {
      second,
      succeeded: good.length,
      others: group.length - good.length,
      latency: percentiles(good.map(latencyMs)),
    }
  })
}
