import { backStep } from '../steps/back-step.ts'
import { takeStep } from '../steps/take-step.ts'
import type { Step } from '../turns/step.ts'
import type { Turns } from '../turns/create-turns.ts'
import { nextJobOf, readTaken, type Taken, type TakenJob } from './taken-job.ts'

export interface TakerOptions {
  readonly turns: Turns
  /** By which jobs are added in this process. */
  readonly adds?: Turns | undefined
  /** What all keys of the queue begin with. */
  readonly base: string
  /** Jobs that the Worker has at once. */
  readonly concurrency: number
  readonly lockMs: number
  readonly workerName: string
  readonly events: boolean
  /** Locks begin with it; no other Worker's do. */
  readonly lockBase: string
  /** How BullMQ itself takes a job, for queues that have a rate limit. */
  readonly takeOne: (token: string) => Promise<unknown[]>
  /** Jobs were taken that nobody has asked for yet. */
  readonly onReady: () => void
}

/** One place of the Worker that asks for a job. */
interface Ask {
  readonly token: string
  abandoned: boolean
  dealt: TakenJob | null
  readonly resolve: (next: unknown[]) => void
  readonly reject: (error: unknown) => void
}

/** A job that is on its way to one of the Worker's places. */
export interface NextJob {
  readonly next: Promise<unknown[]>
  /** The place does not take it, because its last job could not be ended; another place has it then. */
  abandon(): void
}

/** The most jobs that one call takes. */
const most = 1000
/** How long a job that was taken ahead waits for one of the Worker's places. The Worker asks again at once. */
const readyMs = 250

/**
 * Takes jobs for all places of a Worker at once. A Worker's loop asks for one job after the other, so when it asks,
 * as many are taken as it has places free, and the calls that follow are answered from memory. A job taken ahead that
 * nobody asks for goes back to the queue after a quarter of a second, or when the Worker pauses or closes.
 */
export class Taker {
  readonly #options: TakerOptions
  #asks: Ask[] = []
  #ready: TakenJob[] = []
  /** The locks of the jobs that the Worker has, by its own token and the job's id. */
  readonly #locks = new Map<string, string>()
  /** Whether a call will be written that has the asks. */
  #asking = false
  /** Whether the Worker's loop is among those who ask: it asks again at once. */
  #ahead = false
  /** Jobs asked for in calls under way. */
  #wanted = 0
  /** Jobs being ended whose place already asks for the next. */
  #ending = 0
  /** That the queue was empty a moment ago. It holds for one turn of the event loop, and so for one round of asking. */
  #empty: { readonly nextAt: number } | null = null
  #sequence = 0
  #stopped = false
  #backTimer: NodeJS.Timeout | null = null
  #goingBack: Promise<unknown> = Promise.resolve()

  constructor(options: TakerOptions) {
    this.#options = options
  }

  /** The next job for the Worker's loop. */
  async next(token: string): Promise<unknown[]> {
    const ready = this.#ready.shift()
    if (ready !== undefined) return this.#hand(ready, token)
    const empty = this.#empty
    // A Worker that hears of a job that is due asks again at once, so it must not hear it from memory.
    if (empty !== null && this.#asks.length === 0 && (empty.nextAt === 0 || empty.nextAt > Date.now() + 1)) {
      return [null, 0, 0, empty.nextAt]
    }
    return this.#ask(token, true).next
  }

  /** Fills the Worker's free places without being asked, because jobs are being added. */
  async takeAhead(): Promise<void> {
    this.#ahead = true
    // In the call of what is added, which is refused when Redis is full.
    await this.#take(this.#options.adds ?? this.#options.turns, false)
  }

  /** Whether a job is there that the Worker need not wait for. */
  get hasReady(): boolean {
    return this.#ready.length > 0
  }

  /** The next job for a place whose job is just being ended, taken behind that in the same call. */
  after(token: string): NextJob {
    this.#ending += 1
    const { next, abandon } = this.#ask(token, false)
    const ended = (): void => {
      this.#ending -= 1
    }
    next.then(ended, ended)
    return { next, abandon }
  }

  /** The text under the lock of a job that the Worker has. */
  lockOf(token: string, id: string): string {
    return this.#locks.get(`${token} ${id}`) ?? token
  }

  hold(token: string, id: string, lock: string): void {
    this.#locks.set(`${token} ${id}`, lock)
  }

  release(token: string, id: string): void {
    this.#locks.delete(`${token} ${id}`)
  }

  /** The queue may have jobs again. */
  forgetEmpty(): void {
    this.#empty = null
  }

  /** Takes nothing ahead from now on. Resolves when all that was is back in the queue. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#giveBack()
    await this.#goingBack
  }

  start(): void {
    this.#stopped = false
  }

  #ask(token: string, ahead: boolean): NextJob {
    this.#ahead ||= ahead
    const ask: Ask = { token, abandoned: false, dealt: null, resolve: () => {}, reject: () => {} }
    const next = new Promise<unknown[]>((resolve, reject) => Object.assign(ask, { resolve, reject }))
    this.#asks.push(ask)
    void this.#take()
    return {
      next,
      abandon: () => {
        ask.abandoned = true
        // The promise has nobody who waits for it.
        next.catch(() => {})
        if (ask.dealt === null) return
        this.release(token, ask.dealt.id)
        this.#keepReady([ask.dealt])
      },
    }
  }

  /** Asks Redis at the end of this turn of the event loop, behind all jobs that are ended in it. */
  async #take(turns = this.#options.turns, whenFull = true): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    let asks: Ask[] = []
    let want = 0
    const steps = (): Step[] => {
      this.#asking = false
      this.#empty = null
      asks = this.#asks.splice(0).filter(({ abandoned }) => !abandoned)
      want = Math.min(most, asks.length + this.#spare(asks.length))
      this.#wanted += want
      this.#sequence += want
      const { base, lockMs, workerName, events, lockBase } = this.#options
      const sequence = this.#sequence - want
      return want === 0
        ? []
        : [takeStep(base, { now: Date.now(), want, lockBase, sequence, lockMs, workerName, events })]
    }
    try {
      const [reply] = await turns.run(steps, { whenFull, last: true })
      this.#wanted -= want
      if (want > 0) this.#deal(asks, readTaken(reply))
    } catch (error) {
      this.#wanted -= want
      for (const ask of asks) ask.reject(error)
    }
  }

  /** How many places are free besides those that ask. Only the Worker's loop will ask for them. */
  #spare(asking: number): number {
    if (!this.#ahead || this.#stopped) return 0
    this.#ahead = false
    const busy = this.#locks.size - this.#ending + this.#ready.length + this.#wanted + asking
    return Math.max(0, this.#options.concurrency - busy)
  }

  #deal(asks: readonly Ask[], taken: Taken): void {
    const jobs = [...taken.jobs]
    if (!taken.limited && taken.empty) this.#rememberEmpty(taken.nextAt)
    const none: Ask[] = []
    for (const ask of asks) {
      const job = ask.abandoned ? undefined : jobs.shift()
      if (job === undefined) none.push(ask)
      else {
        ask.dealt = job
        ask.resolve(this.#hand(job, ask.token))
      }
    }
    // They come last, so that the Worker ends up knowing that there is nothing, and asks no more.
    for (const { token, resolve, reject } of none) {
      if (taken.limited) this.#options.takeOne(token).then(resolve, reject)
      else resolve([null, 0, 0, taken.nextAt])
    }
    this.#keepReady(jobs)
  }

  #rememberEmpty(nextAt: number): void {
    const empty = { nextAt }
    this.#empty = empty
    setImmediate(() => {
      if (this.#empty === empty) this.#empty = null
    })
  }

  #hand(job: TakenJob, token: string): unknown[] {
    this.hold(token, job.id, job.lock)
    return nextJobOf(job)
  }

  #keepReady(jobs: readonly TakenJob[]): void {
    if (jobs.length === 0) return
    this.#ready.push(...jobs)
    if (this.#stopped) {
      this.#giveBack()
      return
    }
    this.#backTimer ??= setTimeout(() => this.#giveBack(), Math.min(readyMs, this.#options.lockMs / 4))
    this.#options.onReady()
  }

  #giveBack(): void {
    if (this.#backTimer !== null) clearTimeout(this.#backTimer)
    this.#backTimer = null
    const jobs = this.#ready.splice(0)
    if (jobs.length === 0) return
    const { turns, base, events } = this.#options
    // What can't be given back now is found stalled when its lock has run out.
    const back = turns.run([backStep(base, jobs, events)], { whenFull: true }).catch(() => {})
    this.#goingBack = Promise.all([this.#goingBack, back])
  }
}
