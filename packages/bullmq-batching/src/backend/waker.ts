import { markStep } from '../steps/mark-step.ts'
import type { Turns } from '../turns/create-turns.ts'
import type { Taker } from './taker.ts'

/** What BullMQ's Worker waits for: the queue's marker, whose score says when to look; null: nothing came in time. */
export type Marker = { member: string; score: number } | null

/** There are jobs now. */
const now: Marker = { member: '0', score: 0 }

/**
 * Wakes a Worker that waits for jobs. Redis does it by the marker; where jobs are added by the same turns in the same
 * process, they are taken in the call that adds them, and the Worker hears of it without Redis. The blocking read of the
 * marker stays under way meanwhile, and serves the next wait; what it brings before that goes back into the queue.
 */
export class Waker {
  readonly #taker: Taker
  readonly #turns: Turns
  /** By which jobs are added in this process. */
  readonly #adds: Turns
  readonly #base: string
  #unwatch: (() => void) | null = null
  /** The blocking read that is under way. */
  #reading: Promise<Marker> | null = null
  #wake: ((marker: Marker) => void) | null = null

  constructor(taker: Taker, { turns, adds }: { turns: Turns; adds: Turns }, base: string) {
    this.#taker = taker
    this.#turns = turns
    this.#adds = adds
    this.#base = base
  }

  async wait(timeoutS: number, read: () => Promise<Marker>): Promise<Marker> {
    this.#unwatch ??= this.#adds.watch?.('bull:add', this.#base, () => this.#takeAdded()) ?? null
    if (this.#taker.hasReady) return now
    const alreadyReading = this.#reading !== null
    this.#reading ??= this.#read(read)
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Marker>((resolve, reject) => {
        this.#wake = resolve
        this.#reading?.then(resolve, reject)
        // An older read may go on longer than this wait.
        if (alreadyReading) timer = setTimeout(() => this.#tell(null), timeoutS * 1000)
      })
    } finally {
      clearTimeout(timer)
      this.#wake = null
      this.#taker.forgetEmpty()
    }
  }

  /** Jobs are there that were taken ahead. */
  tellReady(): void {
    this.#tell(now)
  }

  close(): void {
    this.#unwatch?.()
  }

  async #read(read: () => Promise<Marker>): Promise<Marker> {
    try {
      const marker = await read()
      // The Worker is busy: another one may be free. It finds the marker itself when it waits next.
      if (this.#wake === null && marker !== null) {
        await this.#turns.run([markStep(this.#base, marker)], { whenFull: true }).catch(() => {})
      }
      return marker
    } finally {
      this.#reading = null
    }
  }

  #takeAdded(): void {
    if (this.#wake !== null) void this.#taker.takeAhead()
  }

  #tell(marker: Marker): void {
    const wake = this.#wake
    // What the read brings from now on is not for this wait.
    this.#wake = null
    wake?.(marker)
  }
}
