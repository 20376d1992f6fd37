import { type ImageFacts, imageFactsSchema, VisionQueueError } from '@vision-queue/protocol'
import { uploadFactsKey, uploadHoldersKey, uploadKey, uploadLapsesKey } from '../keys.ts'
import { z } from 'zod'

import { defineScript } from '@vision-queue/redis'
import { extendScript, holdScript, keepScript, readScript, releaseScript } from './image-store-scripts.ts'
import { type ConnectionOptions, guarded, openFailFastConnection, type RedisClient } from '@vision-queue/redis'

export interface UploadedImage extends ImageFacts {
  /** Until when it can be used, in milliseconds since 1970, by Redis' clock. */
  expiresAt: number
}

/**
 * Images that are uploaded once and asked many questions: stored once under their SHA-256. An image lives
 * until its own time is over and no job that uses it is unfinished; what a crash leaves behind lapses.
 * Every call rejects with `queue_unavailable` while Redis can't be reached.
 */
export interface ImageStore {
  /**
   * Stores it, or puts off the expiry of the one that is there. Rejects with `uploads_full`, and with
   * `payload_too_large` where it alone is over the bound.
   */
  keep(facts: ImageFacts, bytes: Uint8Array): Promise<UploadedImage>
  /** Null where no such image can be used. */
  read(hash: string): Promise<UploadedImage | null>
  /** Puts off its expiry and keeps its bytes for the job until that is released, `forMs` at most; null as `read`. */
  hold(hash: string, jobId: string, forMs: number): Promise<UploadedImage | null>
  /** The job needs it no more. Safe to repeat. */
  release(hash: string, jobId: string): Promise<void>
  /** Ends its use; its bytes stay until the last job that holds it is released. False where there was none. */
  remove(hash: string): Promise<boolean>
  close(): Promise<void>
}

export interface ImageStoreOptions extends Omit<ConnectionOptions, 'name'> {
  commandTimeoutMs: number
  /** How long an image can be used after it was last uploaded or asked about. */
  imageTtlMs: number
  /** Sum of the bytes of all uploaded images. */
  maxBytes: number
}

const keptSchema = z.tuple([z.literal([0, 1]), z.number()])
const foundSchema = z.tuple([z.string(), z.number()]).nullable()

/** On a connection of its own, so that no job waits behind a large upload. */
export function openImageStore({ imageTtlMs, maxBytes, ...options }: ImageStoreOptions): ImageStore {
  const redis = openFailFastConnection({ ...options, name: 'api-images' })
  const keep = defineScript(redis, 'vqKeepUpload', 4, keepScript)
  const read = defineScript(redis, 'vqReadUpload', 4, readScript)
  const hold = defineScript(redis, 'vqHoldUpload', 4, holdScript)
  const release = defineScript(redis, 'vqReleaseUpload', 4, releaseScript)

  const found = async (reply: Promise<unknown>): Promise<UploadedImage | null> => {
    const image = foundSchema.parse(await reply)
    return image === null ? null : { ...imageFactsSchema.parse(JSON.parse(image[0])), expiresAt: image[1] }
  }
  const store = async (facts: ImageFacts, image: Uint8Array): Promise<UploadedImage> => {
    if (image.byteLength > maxBytes) {
      throw new VisionQueueError('payload_too_large', `All uploaded images together may hold ${maxBytes} bytes.`)
    }
    const view = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
    const reply = await keep([...keysOf(facts.hash), facts.hash, imageTtlMs, maxBytes, JSON.stringify(facts), view])
    const [kept, at] = keptSchema.parse(reply)
    if (kept === 1) return { ...facts, expiresAt: at }
    const detail = `All uploaded images together may hold ${maxBytes} bytes; room comes as they expire.`
    throw new VisionQueueError('uploads_full', detail, { retryAfterMs: Math.max(1000, at) })
  }

  return {
    keep: (facts, image) => guarded(store(facts, image)),
    read: (hash) => guarded(found(read([...keysOf(hash), hash]))),
    hold: (hash, jobId, forMs) => guarded(found(hold([...keysOf(hash), hash, imageTtlMs, jobId, forMs]))),
    async release(hash, jobId) {
      await guarded(release([...keysOf(hash), hash, jobId]))
    },
    async remove(hash) {
      return (await guarded(release([...keysOf(hash), hash, 'upload']))) === 1
    },
    async close() {
      redis.disconnect()
    },
  }
}

/** The holds of jobs on uploaded images, over a connection that is there. */
export interface UploadHolds {
  /** The job is admitted and needs the image that it holds for `forMs` more. Without effect where that is gone. */
  extend(hash: string, jobId: string, forMs: number): Promise<void>
  /** As an image store's. */
  release: ImageStore['release']
}

export function createUploadHolds(redis: RedisClient): UploadHolds {
  const extend = defineScript(redis, 'vqExtendUpload', 4, extendScript)
  const release = defineScript(redis, 'vqReleaseUpload', 4, releaseScript)
  return {
    async extend(hash, jobId, forMs) {
      await extend([...keysOf(hash), hash, jobId, forMs])
    },
    async release(hash, jobId) {
      await release([...keysOf(hash), hash, jobId])
    },
  }
}

function keysOf(hash: string): string[] {
  return [uploadLapsesKey, uploadFactsKey, uploadKey(hash), uploadHoldersKey(hash)]
}
