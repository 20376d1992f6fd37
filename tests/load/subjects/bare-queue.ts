import { startTestRedis } from '@vision-queue/test-support/redis'

import { z } from 'zod'

import { openDrive } from './drive.ts'
import { startServerProcess } from './server-process.ts'
import type { Subject } from './subject.ts'

export const bareQueueName = 'bare BullMQ'
/** The producer's argument, as JSON. */
export const bareQueueOptionsSchema = z.object({ redisUrl: z.string(), inFlight: z.int().min(1) })
/** The consumer says on this channel how many jobs it has done since it said so before. */
export const doneChannel = 'bare-done'
/** A consumer's Worker has as many jobs at a time as there are in flight; it tells of so many in one message. */
export const toldAtOnce = 16

/** B: BullMQ's own Queue and Worker as they are with jobs that do nothing, without HTTP and images. */
export async function openBareQueue(): Promise<Subject> {
  const redis = await startTestRedis()
  const consumer = await startServerProcess('bare-queue-consumer.ts', [redis.url])
  const producer = await openDrive('bare-queue-producer.ts', { redisUrl: redis.url, inFlight: 64 })
  return {
    ...producer,
    name: bareQueueName,
    brief: true,
    parts: () => [
      { part: 'producer', pid: producer.pid },
      { part: 'Redis', pid: redis.pid },
      { part: 'consumer', pid: consumer.pid },
    ],
    async stop() {
      await producer.stop()
      await consumer.stop()
      await redis.stop()
    },
  }
}
