import { type Pace, type ServingConsumer, workOffMs } from '@vision-queue/queue/producer'

/** By the list it was made of: one list serves all requests of a second. */
const paces = new WeakMap<readonly ServingConsumer[], { pace: Pace | null }>()

/** How fast a version's consumers work off its jobs together; null before any of them has a figure. */
export function paceOf(consumers: readonly ServingConsumer[]): Pace | null {
  const known = paces.get(consumers) ?? { pace: sumUp(consumers) }
  paces.set(consumers, known)
  return known.pace
}

function sumUp(consumers: readonly ServingConsumer[]): Pace | null {
  let jobsPerSecond = 0
  let jobs = 0
  let runs = 0
  let preprocessMs = 0
  let inferenceMs = 0
  for (const { stats } of consumers) {
    jobsPerSecond += stats.capacity ?? 0
    jobs += stats.jobs['succeeded'] ?? 0
    runs += Object.values(stats.batches).reduce((sum, count) => sum + count, 0)
    preprocessMs += stats.preprocessMs
    inferenceMs += stats.inferenceMs
  }
  if (jobsPerSecond === 0) return null
  return { jobsPerSecond, jobMs: preprocessMs / Math.max(1, jobs) + inferenceMs / Math.max(1, runs) }
}

/** In how many milliseconds a job with so many ahead of it will be done; null where nobody knows. */
export function etaMs(jobsAhead: number, pace: Pace | null): number | null {
  const turnMs = workOffMs(jobsAhead, pace)
  return turnMs === null || pace === null ? null : Math.ceil(turnMs + pace.jobMs)
}
