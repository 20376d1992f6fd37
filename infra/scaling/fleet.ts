/** What an autoscaler is told, as old as the last scrape. */
export interface Figures {
  /** Consumers that take jobs. */
  ready: number
  /** Of them, the share of their time that they computed in the last minute, 0 to 1. */
  busy: number
  /** Jobs that wait. */
  queued: number
  /** Submitted in a second, mean of the last minute; refused ones are not among them. */
  submitted: number
  /** How many jobs a second all that are ready get through. */
  capacity: number
}

/** Says how many consumers there should be, each time it is asked. It may remember what it was told. */
export interface Scaler {
  name: string
  /** `current`: those that are ready or on their way. */
  wanted(figures: Figures, current: number, second: number): number
}

export interface FleetOptions {
  /** The jobs that come, by seconds. */
  arrivals: readonly number[]
  /** How many jobs a second one consumer gets through. */
  jobsPerSecond: number
  /** From the decision until a consumer takes jobs. */
  startSeconds: number
  /** How often the scaler is asked. */
  everySeconds: number
  /** How often the figures are read. */
  scrapeSeconds: number
  /** Jobs beyond it are refused. */
  maxQueued: number
  fewest: number
  most: number
  /** At the beginning. */
  consumers: number
}

export interface Outcome {
  /** Jobs that were answered, by how many whole seconds they had waited. */
  waits: Map<number, number>
  refused: number
  /** Hours that consumers were paid for, from the decision to start them. */
  consumerHours: number
  starts: number
  stops: number
  /** Jobs that still wait at the end. */
  left: number
  mostConsumers: number
}

/**
 * A day of a model's queue and its consumers in steps of a second: those that are ready take what has waited longest,
 * each so many jobs a second. One that is to go takes no more jobs at once and is gone a second later, as SIGTERM has it.
 */
export function simulate(options: FleetOptions, scaler: Scaler): Outcome {
  const outcome: Outcome = {
    waits: new Map(),
    refused: 0,
    consumerHours: 0,
    starts: 0,
    stops: 0,
    left: 0,
    mostConsumers: 0,
  }
  const queue = createQueue()
  const lastMinute = createLastMinute()
  let ready = options.consumers
  /** When those that were started will be ready. */
  let starting: number[] = []
  let figures: Figures | null = null
  for (const [second, came] of options.arrivals.entries()) {
    ready += starting.filter((at) => at <= second).length
    starting = starting.filter((at) => at > second)
    const taken = Math.min(came, Math.max(0, options.maxQueued - queue.jobs()))
    outcome.refused += came - taken
    queue.add(second, taken)
    const capacity = ready * options.jobsPerSecond
    const done = queue.take(capacity, (at, jobs) => {
      outcome.waits.set(second - at, (outcome.waits.get(second - at) ?? 0) + jobs)
    })
    lastMinute.note({ taken, done, capacity })
    outcome.consumerHours += (ready + starting.length) / 3600
    outcome.mostConsumers = Math.max(outcome.mostConsumers, ready + starting.length)
    if (second % options.scrapeSeconds === 0) figures = { ready, queued: queue.jobs(), capacity, ...lastMinute.read() }
    if (figures === null || second % options.everySeconds !== 0) continue
    const current = ready + starting.length
    const wanted = Math.min(options.most, Math.max(options.fewest, Math.round(scaler.wanted(figures, current, second))))
    for (let more = current; more < wanted; more += 1) starting.push(second + options.startSeconds)
    outcome.starts += Math.max(0, wanted - current)
    outcome.stops += Math.max(0, current - wanted)
    // Those that are not ready yet go first.
    const fewer = Math.max(0, current - wanted)
    const unborn = Math.min(fewer, starting.length)
    starting = starting.slice(0, starting.length - unborn)
    ready -= fewer - unborn
  }
  outcome.left = queue.jobs()
  return outcome
}

/** Jobs by the second in which they came, the oldest first. */
function createQueue() {
  let waiting: { at: number; jobs: number }[] = []
  let first = 0
  let sum = 0
  return {
    jobs: () => sum,
    add(at: number, jobs: number): void {
      if (jobs > 0) waiting.push({ at, jobs })
      sum += jobs
    },
    /** Takes up to `most` jobs; says of them when they came. */
    take(most: number, onTaken: (at: number, jobs: number) => void): number {
      let room = most
      for (let head = waiting[first]; head !== undefined && room > 0; head = waiting[first]) {
        const jobs = Math.min(head.jobs, room)
        onTaken(head.at, jobs)
        room -= jobs
        head.jobs -= jobs
        if (head.jobs <= 0) first += 1
      }
      if (first > 1000) {
        waiting = waiting.slice(first)
        first = 0
      }
      const done = most - room
      sum = Math.max(0, sum - done)
      return done
    },
  }
}

function createLastMinute() {
  const seconds: { taken: number; done: number; capacity: number }[] = []
  const sumOf = (what: 'taken' | 'done' | 'capacity'): number => seconds.reduce((sum, one) => sum + one[what], 0)
  return {
    note(second: { taken: number; done: number; capacity: number }): void {
      seconds.push(second)
      if (seconds.length > 60) seconds.shift()
    },
    read(): Pick<Figures, 'busy' | 'submitted'> {
      const capacity = sumOf('capacity')
      return { busy: capacity === 0 ? 0 : sumOf('done') / capacity, submitted: sumOf('taken') / seconds.length }
    },
  }
}

/** The wait that a share of the answered jobs did not pass, in whole seconds. */
export function waitOf({ waits }: Pick<Outcome, 'waits'>, share: number): number {
  const all = [...waits.values()].reduce((sum, jobs) => sum + jobs, 0)
  let seen = 0
  for (const [wait, jobs] of [...waits].toSorted(([a], [b]) => a - b)) {
    seen += jobs
    if (seen >= share * all * (1 - 1e-12)) return wait
  }
  return 0
}
