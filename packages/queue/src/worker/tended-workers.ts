import type { Worker } from 'bullmq'

import { everyTogether } from '@vision-queue/process'
import type { TransportLog } from '@vision-queue/redis'

/** The side of a BullMQ Worker that its tender needs. */
export type TendedWorker = Pick<Worker, 'close'>

/** BullMQ Workers of which none stays silently dead. */
export interface TendedWorkers {
  /** Takes no more jobs; resolves when those taken are done. */
  close(): Promise<void>
  /** Lets go at once. */
  abandon(): void
}

export interface TendedWorkersOptions {
  count: number
  /** Jobs one Worker holds at once. */
  perWorker: number
  /** Opens one whose every job goes through `run`. */
  open: (index: number, run: (job: () => Promise<void>) => Promise<void>) => TendedWorker
  /** Jobs that could be taken now. */
  countWaiting: () => Promise<number>
  /** How long a Worker with a place free may take no job although some wait. */
  silenceMs: number
  log: TransportLog
}

interface Slot {
  worker: TendedWorker
  held: number
  takenAt: number
  /** Since when jobs wait at every look while it has a place free; null: they don't. */
  starvedSince: number | null
}

const looksPerSilence = 4

/**
 * Opens Workers and replaces those that stopped fetching: a Worker's loop has been seen to end without a word
 * after failovers, with its connection up and its process well. BullMQ guards its blocking read itself, and the
 * connections guard against a vanished other end; this guards against what both miss. It goes by the effect
 * alone: jobs wait, there is a place free, and none is taken.
 */
export function openTendedWorkers(options: TendedWorkersOptions): TendedWorkers {
  const { perWorker, countWaiting, silenceMs, log } = options
  const running = new Set<Promise<void>>()
  let closed = false

  const open = (index: number): Slot => {
    const slot: Slot = { worker: { close: async () => {} }, held: 0, takenAt: performance.now(), starvedSince: null }
    slot.worker = options.open(index, async (job) => {
      slot.held += 1
      slot.takenAt = performance.now()
      const its = job()
      running.add(its)
      try {
        await its
      } finally {
        running.delete(its)
        slot.held -= 1
      }
    })
    return slot
  }
  const slots = Array.from({ length: options.count }, (_, index) => open(index))

  const look = async (): Promise<void> => {
    const now = performance.now()
    const quiet = (slot: Slot): boolean => slot.held < perWorker && now - slot.takenAt >= silenceMs / looksPerSilence
    // While Redis is away nobody can fetch, so nobody starves.
    const waiting = slots.some(quiet) ? await countWaiting().catch(() => 0) : 0
    if (closed) return
    for (const [index, slot] of slots.entries()) {
      slot.starvedSince = quiet(slot) && waiting > 0 ? (slot.starvedSince ?? now) : null
      if (slot.starvedSince === null || now - slot.starvedSince < silenceMs) continue
      log.error({ waiting, silenceMs }, 'A BullMQ worker took no job although some wait; it is replaced')
      // What it holds it may finish.
      slot.worker.close().catch(() => {})
      slots[index] = open(index)
    }
  }
  let looking = false
  const looks = everyTogether(silenceMs / looksPerSilence, () => {
    if (looking) return
    looking = true
    void look().finally(() => {
      looking = false
    })
  })

  const end = (): void => {
    closed = true
    looks.close()
  }
  return {
    async close() {
      end()
      await Promise.all(slots.map(async ({ worker }) => worker.close()))
      await Promise.allSettled(running)
    },
    abandon() {
      end()
      for (const { worker } of slots) worker.close(true).catch(() => {})
    },
  }
}
