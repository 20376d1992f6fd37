import { percentile } from '@vision-queue/load/statistics'

import type { Tally } from '../windows/window.ts'
import { orderSchema, type Reply } from './drive.ts'

/** What a drive's process does. */
export interface DriveWork {
  go(): Promise<void>
  pause(): Promise<void>
}

/** Counts what was done. Times are kept until the next tally. */
export class Counter {
  #jobs = 0
  #failures = 0
  #failure: string | null = null
  #wholeMs: number[] = []
  #beyondMs: number[] = []
  #generated: { tokens: number; firstTextMs: number[] } | undefined

  /** So many jobs that ended well, and how long the one took where it was one. */
  done(jobs: number, wholeMs?: number): void {
    this.#jobs += jobs
    if (wholeMs !== undefined) this.#wholeMs.push(wholeMs)
  }

  /** What an answer took beyond decoding and inference. */
  beyond(milliseconds: number): void {
    this.#beyondMs.push(milliseconds)
  }

  /** An answer of so many tokens, of which the first text came so long after the question. */
  generated(tokens: number, firstTextMs: number): void {
    this.#generated ??= { tokens: 0, firstTextMs: [] }
    this.#generated.tokens += tokens
    this.#generated.firstTextMs.push(firstTextMs)
  }

  failed(what: string): void {
    this.#failures += 1
    this.#failure ??= what
  }

  take(): Tally {
    const tally = {
      jobs: this.#jobs,
      failures: this.#failures,
      failure: this.#failure,
      p50Ms: shareOf(this.#wholeMs, 0.5),
      p99Ms: shareOf(this.#wholeMs, 0.99),
      beyondP50Ms: shareOf(this.#beyondMs, 0.5),
      generated: this.#generated,
    }
    this.#jobs = 0
    this.#failures = 0
    this.#failure = null
    this.#wholeMs = []
    this.#beyondMs = []
    this.#generated = undefined
    return tally
  }
}

function shareOf(times: readonly number[], share: number): number | null {
  return times.length === 0 ? null : percentile(times, share)
}

/** Says that this process can be used, and follows orders until its parent is gone. */
export function serveDrive(counter: Counter, { go, pause }: DriveWork): void {
  const reply = (tally: Tally): void => void process.send?.({ tally } satisfies Reply)
  const follow = async (raw: unknown): Promise<void> => {
    const order = orderSchema.parse(raw)
    switch (order) {
      case 'go':
        await go()
        break
      case 'pause':
        await pause()
        break
      case 'tally':
        break
      default:
        order satisfies never
    }
    reply(counter.take())
  }
  process.once('disconnect', () => process.exit(0))
  // The parent may be gone already: then nothing would tell so.
  if (!process.connected) process.exit(0)
  process.on('message', (raw) => void follow(raw))
  reply(counter.take())
}
