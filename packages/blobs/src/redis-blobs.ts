import { createTurns, type Turns } from '@vision-queue/bullmq-batching'
import { type ImageFacts, imageFactsSchema } from '@vision-queue/protocol'
import type { RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import { blobSteps, findStep, holdStep, putCommand, releaseStep } from './blob-steps.ts'
import { type BlobValues, inlineValues } from './blob-values.ts'
import type { BlobAddress, Blobs } from './blobs.ts'
import { blobBytesKey } from './keys.ts'

const holdReplySchema = z.tuple([z.literal([0, 1]), z.string(), z.number()]).nullable()
const findReplySchema = z.tuple([z.string(), z.number()]).nullable()

/** Where the steps of blobs are run, with others of the same connection; by default by themselves. */
export const turnsOfBlobs = (redis: RedisClient): Turns => createTurns(redis, blobSteps)

/** Blobs that Redis knows of and, by `values`, holds or points to; over a connection that is there. `turns` knows `blobSteps`. */
export function createRedisBlobs(
  redis: RedisClient,
  turns: Turns = turnsOfBlobs(redis),
  values: BlobValues = inlineValues,
): Blobs {
  return {
    async hold(address, holder, forMs, options) {
      // In a full Redis too, as a job's end.
      const [replied = null] = await turns.run([holdStep(address, holder, forMs, options)], { whenFull: true })
      const reply = holdReplySchema.parse(replied)
      if (reply === null) return null
      const [stored, known, lapsesAt] = reply
      return { stored: stored === 1, facts: factsOf(known), lapsesAt }
    },
    async put(address, bytes, forMs) {
      const [, ...args] = putCommand(address, await values.toValue(address, bytes), forMs)
      await redis.set(...args)
    },
    async find(address, holder) {
      const [replied = null] = await turns.run([findStep(address, holder)])
      const reply = findReplySchema.parse(replied)
      return reply === null ? null : { facts: factsOf(reply[0]), lapsesAt: reply[1] }
    },
    async read(address: BlobAddress) {
      const value = await redis.getBuffer(blobBytesKey(address))
      return value === null ? null : await values.toBytes(address, value)
    },
    async handOver(address) {
      const value = await redis.getBuffer(blobBytesKey(address))
      return value === null ? null : await values.toHandOver(address, value)
    },
    async release(address, holder) {
      const [held] = await turns.run([releaseStep(address, holder)], { whenFull: true })
      return held === 1
    },
  }
}

function factsOf(stored: string): ImageFacts | null {
  return stored === '' ? null : imageFactsSchema.parse(JSON.parse(stored))
}
