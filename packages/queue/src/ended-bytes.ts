import { endedBytesKey } from './keys.ts'
import type { FinalJob } from '@vision-queue/protocol'
import type { Retention } from '@vision-queue/process'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'

import type { Turns } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'

import { turnsOf } from './redis-turns.ts'
import { countStep } from './worker/end-steps.ts'

/**
 * How much an owner's ended jobs hold in Redis. An ended job is no longer unfinished, so that no quota bounds it, and
 * one that is canceled costs its owner nothing. What ends while they hold their bound already is kept for a short
 * time only: Redis does not fill, nobody is refused, and what ended before is kept for as long as was said.
 *
 * Counted in this process and written to Redis now and then, so that a job costs no command more. The bound may be
 * passed by what ends meanwhile.
 */
export interface EndedBytes {
  /** The final job, with the time until which it may be kept. */
  limited(final: FinalJob): FinalJob
  /** Counts what the job leaves in Redis, roughly. `record`: what is kept beside the result for another try. */
  add(final: FinalJob, bytes: { result: number; record: number }): void
}

/** How long what ended beyond the bound is kept. Longer than a consumer's death takes to be noticed. */
const beyondMs = 120_000
const writeEveryMs = 200
/** What is known of an owner is forgotten when none of its jobs has ended for so long. */
const knownForMs = 60_000
/** Keys, list entries and bookkeeping of one job. */
const overheadBytes = { succeeded: 300, other: 1500 }

/** The counted bytes by when they lapse, in so many steps of the whole time. */
const steps = 64
interface Count {
  /** Not yet written. */
  bytes: number
  /** As of the last write. */
  full: boolean
  writing: boolean
}

export function createEndedBytes(redis: RedisClient, retention: Retention, turns: Turns = turnsOf(redis)): EndedBytes {
  const counts = new LRUCache<string, Count>({ max: 10_000, ttl: knownForMs, ttlAutopurge: false })
  const rulesOf = (succeeded: boolean): { ttlMs: number; maxBytes: number } =>
    succeeded
      ? { ttlMs: retention.resultTtlMs, maxBytes: retention.resultMaxBytes }
      : { ttlMs: retention.failedResultTtlMs, maxBytes: retention.failedResultMaxBytes }

  const write = async (key: string, succeeded: boolean, count: Count): Promise<void> => {
    const { ttlMs, maxBytes } = rulesOf(succeeded)
    const { bytes } = count
    count.bytes = 0
    // In a full Redis too, as a job's end.
    const [reply] = await turns.run([countStep(key, bytes, { ttlMs, stepMs: Math.ceil(ttlMs / steps) })], {
      whenFull: true,
    })
    const sum = z.number().parse(reply)
    count.full = sum >= maxBytes
    counts.set(key, count)
  }

  return {
    limited(final) {
      const key = endedBytesKey(final.owner, final.status === 'succeeded')
      if (counts.get(key)?.full !== true || final.expires_at === null) return final
      const soonest = Math.min(Date.parse(final.expires_at), Date.now() + beyondMs)
      return { ...final, expires_at: new Date(soonest).toISOString() }
    },
    add({ owner, status, expires_at: expiresAt }, { result, record }) {
      const succeeded = status === 'succeeded'
      const key = endedBytesKey(owner, succeeded)
      const count = counts.get(key) ?? { bytes: 0, full: false, writing: false }
      counts.set(key, count)
      // What is kept for a short time only is not counted.
      const short = expiresAt === null || Date.parse(expiresAt) - Date.now() <= beyondMs
      if (!count.full || !short) count.bytes += result + record + overheadBytes[succeeded ? 'succeeded' : 'other']
      if (count.writing) return
      count.writing = true
      setTimeout(() => {
        count.writing = false
        // Where Redis is away, what was not counted stays so.
        write(key, succeeded, count).catch(() => {})
      }, writeEveryMs).unref()
    },
  }
}
