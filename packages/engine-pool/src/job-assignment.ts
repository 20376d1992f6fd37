import { type Engine, takesJobs } from './engine.ts'
import type { PoolJob } from './pool-job.ts'

/**
 * Which job goes to which engine, and what becomes of jobs whose engine died.
 *
 * waiting --assign--> handed --launch--> launched --answer--> done
 * When an engine dies, the jobs it had go back to the front of `waiting`, except the suspects: those it
 * ran at that moment, or all if it ran nothing (then it died preparing one), and jobs that have seen two
 * deaths. Suspects run one at a time in an engine that has no other job, the one in quarantine, while the
 * other engines go on. A suspect whose engine dies while it is alone there is to blame.
 */
export interface JobQueue {
  readonly waiting: readonly PoolJob[]
  readonly suspects: readonly PoolJob[]
  /** Index of the engine that runs the suspects; null: there are none. */
  readonly quarantine: number | null
}

export type AssignableEngine = Pick<Engine, 'index' | 'state' | 'retiring' | 'handed'>

export interface Assignment<E> {
  given: Map<E, PoolJob[]>
  /** What is left. */
  queue: JobQueue
}

/** Hands out what the engines have room for: the engine with the fewest jobs first, at most `window` each. */
export function assignJobs<E extends AssignableEngine>(
  queue: JobQueue,
  engines: readonly E[],
  window: number,
): Assignment<E> {
  const given = new Map<E, PoolJob[]>()
  const give = (engine: E, job: PoolJob): void => {
    given.set(engine, [...(given.get(engine) ?? []), job])
  }
  const load = (engine: E): number => engine.handed.size + (given.get(engine)?.length ?? 0)
  const leastLoaded = (candidates: readonly E[], below: number): E | undefined => {
    let least: E | undefined
    for (const engine of candidates) {
      if (takesJobs(engine) && load(engine) < (least === undefined ? below : load(least))) least = engine
    }
    return least
  }

  const suspects = queue.suspects.filter(isOpen)
  let { quarantine } = queue
  if (suspects.length > 0) quarantine ??= leastLoaded(engines, Infinity)?.index ?? null
  const alone = engines.find(({ index }) => index === quarantine)
  if (alone?.handed.size === 0) {
    const [suspect] = suspects
    if (suspect === undefined) quarantine = null
    else if (takesJobs(alone)) give(alone, suspect)
  }

  const waiting = queue.waiting.filter(isOpen)
  const others = engines.filter(({ index }) => index !== quarantine)
  let taken = 0
  for (const job of waiting) {
    const engine = leastLoaded(others, window)
    if (engine === undefined) break
    give(engine, job)
    taken += 1
  }
  const isLeft = (job: PoolJob): boolean => alone === undefined || given.get(alone)?.includes(job) !== true
  return { given, queue: { waiting: waiting.slice(taken), suspects: suspects.filter(isLeft), quarantine } }
}

export interface DeathVerdict {
  /** It killed the engine, for sure. */
  toBlame: PoolJob | null
  /** Each of them may have done it. */
  suspects: PoolJob[]
  innocent: PoolJob[]
}

/** Who killed an engine. `quarantined`: it was the one that runs suspects. */
export function judgeDeath(
  { handed, launched }: Pick<Engine, 'handed' | 'launched'>,
  quarantined: boolean,
): DeathVerdict {
  const jobs = [...handed.values()].filter(isOpen)
  const [only] = jobs
  if (only?.suspect === true && quarantined && jobs.length === 1) {
    return { toBlame: only, suspects: [], innocent: [] }
  }
  const isSuspect = ({ job, suspect, deaths }: PoolJob): boolean =>
    suspect || launched.size === 0 || launched.has(job.id) || deaths > 0
  return { toBlame: null, suspects: jobs.filter(isSuspect), innocent: jobs.filter((job) => !isSuspect(job)) }
}

/** The queue after the jobs of an engine that died have come back to it. */
export function takeBack(queue: JobQueue, engine: number, { suspects, innocent }: DeathVerdict): JobQueue {
  const all = [...queue.suspects, ...suspects]
  return {
    waiting: [...innocent, ...queue.waiting],
    suspects: all,
    quarantine: all.length > 0 ? (queue.quarantine ?? engine) : queue.quarantine,
  }
}

/** The queue after an engine could not be started: if it runs the suspects, another engine may have them. */
export function endQuarantine(queue: JobQueue, engine: number): JobQueue {
  return queue.quarantine === engine ? { ...queue, quarantine: null } : queue
}

function isOpen({ settled }: PoolJob): boolean {
  return !settled
}
