import type { RedisClient, TransportLog } from '@vision-queue/redis'

import { blobBytesKey, objectSweepKey } from '../keys.ts'
import { addressOfObject, longestPointer, objectOf } from './object-name.ts'
import type { ObjectStore } from './object-store.ts'
import { claimObjects } from './store-owner.ts'

/**
 * Removes objects that nothing in Redis points to: their last hold is over, or they were put in vain. Lifetimes are ours,
 * because a rule of the bucket counts from the put, and not every service has such rules.
 *
 * No object is ever pointed to for the first time after `graceMs`, so one that is older and isn't pointed to never will be.
 */
export interface ObjectSweep {
  /** One look at all objects. Rejects while Redis or the store is away, and where the objects are another service's. */
  look(): Promise<Swept>
}

interface Swept {
  seen: number
  removed: number
}

/** Beyond what an upload may take from its address to its completion. */
const graceMs = 3_600_000

interface Options {
  redis: RedisClient
  objects: ObjectStore
  now?: () => number
}

export function createObjectSweep({ redis, objects, now = Date.now }: Options): ObjectSweep {
  const isForgotten = async (name: string): Promise<boolean> => {
    const address = addressOfObject(name)
    // Whatever lies there besides is not ours.
    if (address === null) return false
    const start = await redis.getrangeBuffer(blobBytesKey(address), 0, longestPointer - 1)
    return objectOf(start) !== name
  }
  return {
    async look() {
      await claimObjects({ redis, objects })
      const done = { seen: 0, removed: 0 }
      for await (const page of objects.list()) {
        done.seen += page.length
        const old = page.filter(({ storedAt }) => storedAt < now() - graceMs)
        // In one write.
        const forgotten = await Promise.all(old.map(async ({ name }) => isForgotten(name)))
        const names = old.flatMap(({ name }, index) => (forgotten[index] === true ? [name] : []))
        if (names.length > 0) await objects.remove(names)
        done.removed += names.length
      }
      return done
    },
  }
}

/** Looks every `everyMs` until closed; of all processes one at a time. */
export function openObjectSweep({
  everyMs,
  onEnd,
  ...options
}: Options & { everyMs: number; onEnd: (outcome: Swept | Error) => void }): {
  close(): void
} {
  const { redis } = options
  const sweep = createObjectSweep(options)
  const look = async (): Promise<void> => {
    if ((await redis.set(objectSweepKey, '1', 'PX', Math.ceil(0.9 * everyMs), 'NX')) === null) return
    onEnd(await sweep.look())
  }
  const timer = setInterval(() => {
    look().catch((error: unknown) => onEnd(error instanceof Error ? error : new Error(String(error))))
  }, everyMs)
  timer.unref()
  return { close: () => clearInterval(timer) }
}

/** What came of a look, for the log. One that failed is made up for by the next. */
export function logSweep(log: TransportLog, outcome: Swept | Error): void {
  if (outcome instanceof Error) log.warn({ error: outcome.message }, 'Images that nobody needs could not be removed')
  else if (outcome.removed > 0) log.info(outcome, 'Images that nobody needs were removed')
}
