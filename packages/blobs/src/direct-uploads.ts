import { hash as hashOf, randomBytes } from 'node:crypto'

import { type ImageFacts, VisionQueueError } from '@vision-queue/protocol'
import type { RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import { putCommand } from './blob-steps.ts'
import type { BlobAddress } from './blobs.ts'
import { begunUploadKey, blobBytesKey } from './keys.ts'
import { longestPointer, newObjectName, objectOf, pointerTo } from './objects/object-name.ts'
import type { ObjectStore, SignedAddress } from './objects/object-store.ts'
import { unavailable } from './objects/object-values.ts'
import type { Keeping, UploadedImage } from './uploads.ts'

/** What somebody is about to upload. */
export interface AnnouncedImage {
  /** SHA-256, in hexadecimal digits. */
  hash: string
  bytes: number
}

export interface BegunUpload extends SignedAddress {
  id: string
  /** Until when the address takes the bytes, in milliseconds since 1970. */
  expiresAt: number
}

/**
 * Uploads that go past the API: it is told what will come and signs an address that takes just that, and when the bytes
 * are there it looks at the header of the image and keeps it as any other upload.
 */
export interface DirectUploads {
  /** Rejects with `uploads_full` and `payload_too_large` as `OwnUploads.keep`. */
  begin(image: AnnouncedImage): Promise<BegunUpload>
  /**
   * `inspect` reads an image's facts from its first bytes, or says that it needs all of them: null. What it throws ends
   * the upload. Rejects with `image_not_found` where nothing has come. Safe to repeat.
   */
  complete(id: string, inspect: (start: Uint8Array, image: AnnouncedImage) => ImageFacts | null): Promise<UploadedImage>
}

interface Options {
  redis: RedisClient
  objects: ObjectStore
  keeping: Keeping
  owner: string | null
  imageTtlMs: number
}

/** How long an address takes the bytes. */
const addressMs = 600_000
/** How long an upload can be completed; well within the time that object-sweep.ts leaves objects alone. */
const begunMs = 1_200_000
/** Of an image that is looked at: more than the header of nearly every file. */
const startBytes = 256 * 1024

const recordSchema = z.object({ owner: z.string().nullable(), hash: z.string(), bytes: z.int(), name: z.string() })
type BegunRecord = z.infer<typeof recordSchema>

export function createDirectUploads({ redis, objects, keeping, owner, imageTtlMs }: Options): DirectUploads {
  return {
    async begin({ hash, bytes }) {
      await keeping.reserve({ hash, bytes }, begunMs)
      const address = keeping.addressOf(hash)
      const name = newObjectName(address)
      const signed = await unavailable(objects.addressToPut(name, { hash, bytes }, addressMs))
      const id = `upl_${randomBytes(16).toString('hex')}`
      await redis.set(
        begunUploadKey(id),
        JSON.stringify({ owner, hash, bytes, name } satisfies BegunRecord),
        'PX',
        begunMs,
      )
      return { id, ...signed, expiresAt: Date.now() + addressMs }
    },

    async complete(id, inspect) {
      const stored = await redis.get(begunUploadKey(id))
      const record = stored === null ? null : recordSchema.parse(JSON.parse(stored))
      if (record === null || record.owner !== owner) {
        throw new VisionQueueError('image_not_found', 'There is no such upload, or its time is over. Begin it again.')
      }
      const { hash, bytes, name } = record
      const address = keeping.addressOf(hash)
      const facts = await lookAt(objects, record, inspect).catch(async (error: unknown) => {
        // What was refused is of no use to anybody.
        if (isRefusal(error)) await objects.remove([name]).catch(() => {})
        throw error
      })
      const kept = await keeping.keepBy({ ...facts, hash, bytes }, async () => {
        const [, ...args] = putCommand(address, pointerTo(name), imageTtlMs)
        await redis.set(...args)
      })
      // Somebody had uploaded the same, by this address or another: one of the objects is enough.
      if (!(await isPointedTo(redis, address, name))) await objects.remove([name]).catch(() => {})
      return kept
    },
  }
}

/** Reads what has come as far as is needed, and compares it with what was announced. */
async function lookAt(
  objects: ObjectStore,
  { hash, bytes, name }: BegunRecord,
  inspect: Parameters<DirectUploads['complete']>[1],
): Promise<ImageFacts> {
  const described = await unavailable(objects.describe(name))
  if (described === null) {
    throw new VisionQueueError('image_not_found', 'Nothing has come to the address of this upload yet.')
  }
  if (described.bytes !== bytes || (described.hash !== null && described.hash !== hash)) throw otherBytes()
  // A store that doesn't know SHA-256 may have taken anything.
  if (described.hash !== null) {
    const start = await unavailable(objects.readStart(name, startBytes))
    const facts = start === null ? null : inspect(start, { hash, bytes })
    if (facts !== null) return facts
  }
  const whole = await unavailable(objects.read(name))
  if (whole === null || hashOf('sha256', whole, 'hex') !== hash) throw otherBytes()
  const facts = inspect(whole, { hash, bytes })
  if (facts === null) throw new VisionQueueError('image_undecodable', 'The header of the image is broken.')
  return facts
}

function otherBytes(): VisionQueueError {
  return new VisionQueueError(
    'invalid_request',
    'What has come is not what was announced: other bytes, or another number.',
  )
}

function isRefusal(error: unknown): boolean {
  return error instanceof VisionQueueError && !['queue_unavailable', 'image_not_found'].includes(error.code)
}

async function isPointedTo(redis: RedisClient, address: BlobAddress, name: string): Promise<boolean> {
  return objectOf(await redis.getrangeBuffer(blobBytesKey(address), 0, longestPointer - 1)) === name
}
