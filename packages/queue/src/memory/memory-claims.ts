import { setTimeout as delay } from 'node:timers/promises'

import { type Job, VisionQueueError } from '@vision-queue/protocol'

import { type IdempotencyKeys, newJobId } from '../producer/idempotency-keys.ts'

interface Held {
  digest: string
  id: string
  underWay: boolean
}

/** Idempotency keys in memory, for as long as it lasts. Unlike leases in Redis a claim under way never lapses. */
export function createMemoryClaims(read: (id: string, owner: string | null) => Promise<Job | null>): IdempotencyKeys {
  const keys = new Map<string, Held>()
  return {
    async claim({ owner, key, digest, leaseMs }) {
      const name = JSON.stringify([owner, key])
      const giveUpAt = performance.now() + leaseMs
      for (;;) {
        const held = keys.get(name)
        const job = held === undefined ? null : await read(held.id, owner)
        if (held !== undefined && (held.underWay || job !== null)) {
          if (held.digest !== digest) {
            throw new VisionQueueError('idempotency_conflict', 'The key was used for something else.')
          }
          if (!held.underWay && job !== null) return { kind: 'known', job }
          if (performance.now() > giveUpAt) {
            throw new VisionQueueError('idempotency_in_flight', 'Another request has the key.', { retryAfterMs: 1000 })
          }
          await delay(5)
          continue
        }
        const mine: Held = { digest, id: newJobId(), underWay: true }
        keys.set(name, mine)
        const claim = {
          id: mine.id,
          keyHash: key,
          async send() {},
          async accept() {
            mine.underWay = false
          },
          async release() {
            if (mine.underWay && keys.get(name) === mine) keys.delete(name)
          },
        }
        return { kind: 'claimed', claim }
      }
    },
  }
}
