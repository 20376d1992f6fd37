/**
 * When a Worker looks for stalled jobs: at first at once, the second time at the next multiple of its interval by the
 * process's clock, and then whenever BullMQ asks. Timers of one length that are set together fire together, so the
 * Workers of a process go on looking in one turn of the event loop, and an idle process is woken once for all of its
 * queues instead of twice for each.
 */
export class SameMoment {
  readonly #intervalMs: number
  #looks = 0

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Resolves when it is time to look. Its timer keeps no process alive. */
  async come(): Promise<void> {
    this.#looks += 1
    if (this.#looks !== 2) return
    const leftMs = this.#intervalMs - (performance.now() % this.#intervalMs)
    await new Promise((resolve) => {
      setTimeout(resolve, leftMs).unref()
    })
  }
}

/**
 * How long to block for a marker, in seconds: up to `atMostS`, and to a multiple of that by the process's clock, so that
 * the reads of all queues that are quiet end together.
 */
export function blockUpTo(atMostS: number): number {
  const leftS = atMostS - ((performance.now() / 1000) % atMostS)
  // One that ended a little early is not to be woken twice.
  return leftS < atMostS / 10 ? atMostS : leftS
}
