import { markStep } from '../steps/mark-step.ts'
import type { Turns } from '../turns/create-turns.ts'
import type { Taker } from './taker.ts'

/** What BullMQ wakes a Worker by: member `0` where jobs wait, else the time at which a delayed job is due. */
export interface Marker {
  member: string
  score: number
}

export interface WaiterOptions {
  /** The turns of those who add jobs to the queue in this process. */
  readonly adds: Turns
  /** The Worker's own. */
  readonly turns: Turns
  readonly base: string
  readonly taker: Taker
  /** Waits in Redis for a marker, at most so many seconds. */
  readonly block: (seconds: number) => Promise<Marker | null>
}

/**
 * Waits for jobs as a Worker does while it has places free, and besides takes what is added in this process in the very
 * call that adds it: such a job needs no marker and wakes nobody in Redis. The blocking read goes on meanwhile, over
 * several waits where need be. A marker that it finds when nobody waits belongs to another Worker, and is put back.
 */
export class Waiter {
  readonly #options: WaiterOptions
  #blocked: Promise<Marker | null> | null = null
  #waiting = false

  constructor(options: WaiterOptions) {
    this.#options = options
  }

  async wait(seconds: number): Promise<Marker | null> {
    const { adds, base, taker } = this.#options
    const blocked = (this.#blocked ??= this.#block(seconds))
    let timer: NodeJS.Timeout | undefined
    let stop = (): void => {}
    let fromMemory = false
    const others = new Promise<Marker | null>((resolve) => {
      // A read that is under way may go on for longer than this wait.
      timer = setTimeout(() => resolve(null), seconds * 1000)
      stop = adds.follow('bull:add', base, () =>
        taker.takeBehind(adds, () => {
          fromMemory = true
          resolve({ member: '0', score: 0 })
        }),
      )
    })
    this.#waiting = true
    try {
      return await Promise.race([blocked, others])
    } finally {
      this.#waiting = false
      stop()
      clearTimeout(timer)
      // What was taken from memory tells whether more wait.
      if (!fromMemory) taker.forgetEmpty()
    }
  }

  async #block(seconds: number): Promise<Marker | null> {
    try {
      const marker = await this.#options.block(seconds)
      if (marker !== null && !this.#waiting) this.#putBack(marker)
      return marker
    } finally {
      this.#blocked = null
    }
  }

  #putBack(marker: Marker): void {
    const { turns, base } = this.#options
    // Where Redis is away, the others fetch when their own reads have timed out.
    turns.run([markStep(base, marker)], { whenFull: true }).catch(() => {})
  }
}
