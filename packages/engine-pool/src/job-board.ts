import type { EngineJob } from '@vision-queue/engine/messages'

/**
 * Which job goes to which engine, and what becomes of jobs whose engine died. Pure bookkeeping.
 *
 * waiting --assign--> handed --launch--> launched --answer--> done
 * When an engine dies, what it held goes back to the front of `waiting`, except the suspects: those it
 * ran at that moment, or all where it ran nothing (then it died preparing one), or whoever saw two
 * deaths. Suspects are run one at a time in an otherwise empty engine, in quarantine, while the other
 * engines go on. A job whose engine dies while it is alone there is the culprit.
 */
export interface BoardJob {
  readonly job: EngineJob
  /** True once its caller has been answered or has gone: it is not handed out any more. */
  settled: boolean
  suspect: boolean
  deaths: number
}

/** An engine as the board sees it. */
export interface Seat<Job extends BoardJob> {
  readonly ready: boolean
  readonly handed: Map<string, Job>
  readonly launched: Set<string>
}

export interface JobBoard<Job extends BoardJob> {
  add: (job: Job) => void
  /** Hands out what the seats have room for: the seat with the least first, at most `window` each. */
  assign: (seats: readonly Seat<Job>[], window: number) => Map<Seat<Job>, Job[]>
  /** Takes everything from a seat whose engine died; returns the culprit, if it is sure. */
  takeBack: (seat: Seat<Job>) => Job | null
  /** Lets other engines have the suspects, where the one in quarantine does not come back. */
  endQuarantine: (seat: Seat<Job>) => void
  /** Removes and returns what is not handed out. */
  clear: () => Job[]
}

export function createJobBoard<Job extends BoardJob>(): JobBoard<Job> {
  let waiting: Job[] = []
  let suspects: Job[] = []
  let quarantine: Seat<Job> | null = null

  function next(list: Job[]): Job | null {
    for (;;) {
      const job = list.shift()
      if (job === undefined) return null
      if (!job.settled) return job
    }
  }

  function leastLoaded(seats: readonly Seat<Job>[], below: number): Seat<Job> | null {
    let best: Seat<Job> | null = null
    for (const seat of seats) {
      if (!seat.ready || seat === quarantine || seat.handed.size >= below) continue
      if (best === null || seat.handed.size < best.handed.size) best = seat
    }
    return best
  }

  return {
    add(job) {
      if (job.suspect) suspects.push(job)
      else waiting.push(job)
    },
    assign(seats, window) {
      const given = new Map<Seat<Job>, Job[]>()
      const give = (seat: Seat<Job>, job: Job): void => {
        seat.handed.set(job.job.id, job)
        given.set(seat, [...(given.get(seat) ?? []), job])
      }
      if (suspects.length > 0) quarantine ??= leastLoaded(seats, Infinity)
      if (quarantine !== null && quarantine.handed.size === 0) {
        const suspect = quarantine.ready ? next(suspects) : null
        if (suspect !== null) give(quarantine, suspect)
        else if (suspects.length === 0) quarantine = null
      }
      for (;;) {
        const seat = leastLoaded(seats, window)
        const job = seat === null ? null : next(waiting)
        if (seat === null || job === null) return given
        give(seat, job)
      }
    },
    takeBack(seat) {
      const jobs = [...seat.handed.values()].filter((job) => !job.settled)
      const launched = new Set(seat.launched)
      seat.handed.clear()
      seat.launched.clear()
      const [only] = jobs
      if (only?.suspect === true && seat === quarantine && jobs.length === 1) return only
      const innocent: Job[] = []
      for (const job of jobs) {
        job.deaths += 1
        job.suspect ||= launched.size === 0 || launched.has(job.job.id) || job.deaths > 1
        if (job.suspect) suspects.push(job)
        else innocent.push(job)
      }
      waiting = [...innocent, ...waiting]
      if (suspects.length > 0) quarantine ??= seat
      return null
    },
    endQuarantine(seat) {
      if (seat === quarantine) quarantine = null
    },
    clear() {
      const jobs = [...suspects, ...waiting].filter((job) => !job.settled)
      suspects = []
      waiting = []
      return jobs
    },
  }
}
