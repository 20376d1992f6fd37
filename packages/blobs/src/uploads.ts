import { createTurns } from '@vision-queue/bullmq-batching'
import { type ImageFacts, VisionQueueError } from '@vision-queue/protocol'
import { type ConnectionOptions, guarded, openFailFastConnection } from '@vision-queue/redis'

import { blobSteps } from './blob-steps.ts'
import { type BlobAddress, type Blobs, type FoundBlob, uploadHolder } from './blobs.ts'
import type { Budget } from './budget.ts'
import { budgetSteps } from './budget-steps.ts'
import { createDirectUploads, type DirectUploads } from './direct-uploads.ts'
import { uploadsBudgetKeys } from './keys.ts'
import { type OpenBlobStore, redisBlobStore } from './objects/open-objects.ts'
import { logSweep, openObjectSweep } from './objects/object-sweep.ts'
import { createRedisBlobs } from './redis-blobs.ts'
import { createRedisBudget } from './redis-budget.ts'

export interface UploadedImage extends ImageFacts {
  /** Until when it can be used, in milliseconds since 1970, by the store's clock. */
  expiresAt: number
}

/** What one owner has uploaded, by the hash of the bytes. What another one has uploaded is not found. */
export interface OwnUploads {
  /**
   * Stores an image, or puts off the expiry of the one that is there. Rejects with `uploads_full`, and with
   * `payload_too_large` where it alone is over the bound.
   */
  keep(facts: ImageFacts, bytes: Uint8Array): Promise<UploadedImage>
  /** Null where no such image can be used. */
  find(hash: string): Promise<UploadedImage | null>
  /** Puts off its expiry and keeps its bytes for the job, `forMs` at most; null as `find`. */
  hold(hash: string, jobId: string, forMs: number): Promise<UploadedImage | null>
  /** Ends its use; its bytes stay until the last job that holds them has ended. False where there was none. */
  remove(hash: string): Promise<boolean>
  /** Uploads that go past the API; null: they need a store that takes them, see BLOB_STORE. */
  direct: DirectUploads | null
}

/** What direct uploads need of an owner's other ones. */
export interface Keeping {
  addressOf(hash: string): BlobAddress
  /** Takes room for an image that is about to come, for so long; rejects as `OwnUploads.keep`. */
  reserve(image: Pick<ImageFacts, 'hash' | 'bytes'>, forMs: number): Promise<void>
  /** As `OwnUploads.keep`, of an image that `put` stores if it isn't there. */
  keepBy(facts: ImageFacts, put: () => Promise<void>): Promise<UploadedImage>
}

/**
 * Images that are uploaded once and asked many questions: blobs that their owner holds for a while. The bound counts
 * uploads, not what jobs hold beyond them.
 */
export interface Uploads {
  /** Null: callers without a key, who share what they have uploaded. */
  of(owner: string | null): OwnUploads
  close(): Promise<void>
}

interface UploadOptions {
  /** How long an image can be used after it was last uploaded or asked about. */
  imageTtlMs: number
  /** Sum of the bytes of all uploads. */
  maxBytes: number
  /** Whether all owners have one space, see BlobAddress. An owner still finds its own uploads alone. Default: false. */
  shared?: boolean | undefined
}

export function createUploads({
  blobs,
  budget,
  imageTtlMs,
  maxBytes,
  shared = false,
  openDirect = () => null,
}: UploadOptions & {
  blobs: Blobs
  budget: Budget
  openDirect?: (owner: string | null, keeping: Keeping) => DirectUploads | null
}): Pick<Uploads, 'of'> {
  return {
    of(owner) {
      const holder = uploadHolder(owner)
      const addressOf = (hash: string): BlobAddress => ({ space: shared ? null : owner, hash })
      const entryOf = (hash: string): string => `${owner ?? ''} ${hash}`
      const assertFits = (bytes: number): void => {
        if (bytes <= maxBytes) return
        throw new VisionQueueError('payload_too_large', `All uploaded images together may hold ${maxBytes} bytes.`)
      }
      /** Whether the entry is new. */
      const take = async ({ hash, bytes }: Pick<ImageFacts, 'hash' | 'bytes'>, forMs: number): Promise<boolean> => {
        assertFits(bytes)
        const taken = await budget.take(entryOf(hash), { bytes, forMs, maxBytes })
        if (taken.taken) return taken.isNew
        const detail = `All uploaded images together may hold ${maxBytes} bytes; room comes as they expire.`
        throw new VisionQueueError('uploads_full', detail, { retryAfterMs: Math.max(1000, taken.roomInMs) })
      }
      const keepBy: Keeping['keepBy'] = async (facts, put) => {
        const isNew = await take(facts, imageTtlMs)
        const address = addressOf(facts.hash)
        const hold = async (): ReturnType<Blobs['hold']> => blobs.hold(address, holder, imageTtlMs, { facts })
        try {
          let held = await hold()
          if (held?.stored === false) {
            await put()
            held = await hold()
          }
          return { ...facts, expiresAt: held?.lapsesAt ?? 0 }
        } catch (error) {
          // What is not stored takes no room, where that fails too until its entry lapses. One that was there stays.
          if (isNew) await Promise.allSettled([blobs.release(address, holder), budget.release(entryOf(facts.hash))])
          throw error
        }
      }
      const reserve: Keeping['reserve'] = async (image, forMs) => {
        await take(image, forMs)
      }

      return {
        async keep(facts, bytes) {
          assertFits(bytes.byteLength)
          return keepBy(facts, async () => blobs.put(addressOf(facts.hash), bytes, imageTtlMs))
        },
        find: async (hash) => uploadedOf(await blobs.find(addressOf(hash), holder)),
        async hold(hash, jobId, forMs) {
          const through = { holder, forMs: imageTtlMs }
          // Sent together. An entry that is put off in vain lapses all the same.
          const [held] = await Promise.all([
            blobs.hold(addressOf(hash), jobId, forMs, { through }),
            budget.extend(entryOf(hash), imageTtlMs),
          ])
          return uploadedOf(held)
        },
        async remove(hash) {
          const [there] = await Promise.all([blobs.release(addressOf(hash), holder), budget.release(entryOf(hash))])
          return there
        },
        direct: openDirect(owner, { addressOf, reserve, keepBy }),
      }
    },
  }
}

function uploadedOf(found: FoundBlob | null): UploadedImage | null {
  return found === null || found.facts === null ? null : { ...found.facts, expiresAt: found.lapsesAt }
}

/** How often objects are looked for that nobody needs. Each look lists all of them. */
const sweepMs = 600_000

/** In Redis, on a connection of its own, so that no job waits behind a large upload. Rejects with `queue_unavailable`. */
export function openUploads({
  redisUrl,
  log,
  commandTimeoutMs,
  store = redisBlobStore,
  ...options
}: UploadOptions &
  Omit<ConnectionOptions, 'name'> & {
    commandTimeoutMs: number
    /** Default: all bytes are in Redis. It is left open. */
    store?: OpenBlobStore
  }): Uploads {
  const redis = openFailFastConnection({ redisUrl, log, commandTimeoutMs, name: 'api-images' })
  const turns = createTurns(redis, { ...blobSteps, ...budgetSteps })
  const { values, objects } = store
  const uploads = createUploads({
    ...options,
    blobs: createRedisBlobs(redis, turns, values),
    budget: createRedisBudget(redis, uploadsBudgetKeys, turns),
    openDirect: (owner, keeping) =>
      objects === null ? null : createDirectUploads({ ...options, redis, objects, keeping, owner }),
  })
  const sweep =
    objects === null
      ? null
      : openObjectSweep({ redis, objects, everyMs: sweepMs, onEnd: (outcome) => logSweep(log, outcome) })
  return {
    of(owner) {
      const own = uploads.of(owner)
      const { direct } = own
      return {
        keep: (facts, bytes) => guarded(own.keep(facts, bytes)),
        find: (hash) => guarded(own.find(hash)),
        hold: (hash, jobId, forMs) => guarded(own.hold(hash, jobId, forMs)),
        remove: (hash) => guarded(own.remove(hash)),
        direct:
          direct === null
            ? null
            : {
                begin: (image) => guarded(direct.begin(image)),
                complete: (id, inspect) => guarded(direct.complete(id, inspect)),
              },
      }
    },
    async close() {
      sweep?.close()
      redis.disconnect()
    },
  }
}
