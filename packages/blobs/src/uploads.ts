import { createTurns } from '@vision-queue/bullmq-batching'
import { type ImageFacts, VisionQueueError } from '@vision-queue/protocol'
import { type ConnectionOptions, guarded, openFailFastConnection } from '@vision-queue/redis'

import { blobSteps } from './blob-steps.ts'
import { type BlobAddress, type Blobs, type FoundBlob, uploadHolder } from './blobs.ts'
import type { Budget } from './budget.ts'
import { budgetSteps } from './budget-steps.ts'
import { uploadsBudgetKeys } from './keys.ts'
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
}: UploadOptions & { blobs: Blobs; budget: Budget }): Pick<Uploads, 'of'> {
  return {
    of(owner) {
      const holder = uploadHolder(owner)
      const addressOf = (hash: string): BlobAddress => ({ space: shared ? null : owner, hash })
      const entryOf = (hash: string): string => `${owner ?? ''} ${hash}`
      const take = async ({ hash, bytes }: ImageFacts): ReturnType<Budget['take']> =>
        budget.take(entryOf(hash), { bytes, forMs: imageTtlMs, maxBytes })

      return {
        async keep(facts, bytes) {
          if (bytes.byteLength > maxBytes) {
            throw new VisionQueueError('payload_too_large', `All uploaded images together may hold ${maxBytes} bytes.`)
          }
          const taken = await take(facts)
          if (!taken.taken) {
            const detail = `All uploaded images together may hold ${maxBytes} bytes; room comes as they expire.`
            throw new VisionQueueError('uploads_full', detail, { retryAfterMs: Math.max(1000, taken.roomInMs) })
          }
          const address = addressOf(facts.hash)
          const hold = async (): ReturnType<Blobs['hold']> => blobs.hold(address, holder, imageTtlMs, { facts })
          try {
            let held = await hold()
            if (held?.stored === false) {
              await blobs.put(address, bytes, imageTtlMs)
              held = await hold()
            }
            return { ...facts, expiresAt: held?.lapsesAt ?? 0 }
          } catch (error) {
            // What is not stored takes no room, where that fails too until its entry lapses. One that was there stays.
            if (taken.isNew)
              await Promise.allSettled([blobs.release(address, holder), budget.release(entryOf(facts.hash))])
            throw error
          }
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
      }
    },
  }
}

function uploadedOf(found: FoundBlob | null): UploadedImage | null {
  return found === null || found.facts === null ? null : { ...found.facts, expiresAt: found.lapsesAt }
}

/** In Redis, on a connection of its own, so that no job waits behind a large upload. Rejects with `queue_unavailable`. */
export function openUploads({
  redisUrl,
  log,
  commandTimeoutMs,
  ...options
}: UploadOptions & Omit<ConnectionOptions, 'name'> & { commandTimeoutMs: number }): Uploads {
  const redis = openFailFastConnection({ redisUrl, log, commandTimeoutMs, name: 'api-images' })
  const turns = createTurns(redis, { ...blobSteps, ...budgetSteps })
  const blobs = createRedisBlobs(redis, turns)
  const uploads = createUploads({ ...options, blobs, budget: createRedisBudget(redis, uploadsBudgetKeys, turns) })
  return {
    of(owner) {
      const own = uploads.of(owner)
      return {
        keep: (facts, bytes) => guarded(own.keep(facts, bytes)),
        find: (hash) => guarded(own.find(hash)),
        hold: (hash, jobId, forMs) => guarded(own.hold(hash, jobId, forMs)),
        remove: (hash) => guarded(own.remove(hash)),
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}
