import { startTestRedis } from '@vision-queue/test-support/redis'

import { z } from 'zod'

import { sumOf } from '../windows/window.ts'
import { openDrive } from './drive.ts'
import { startServerProcess } from './server-process.ts'
import type { Subject } from './subject.ts'

/**
 * One process of queue traffic as the service makes it, without HTTP, decoding or a model: producers submit a
 * small picture each and wait for their results, sources take the jobs as consumers do (read the picture, say that
 * it runs, store the result).
 */
export const trafficOptionsSchema = z.object({
  redisUrl: z.string(),
  kind: z.enum(['produce', 'consume']),
  /** Models with sources of their own. Jobs go to the first `busyModels` of them, in turn. */
  models: z.array(z.string()).min(1),
  busyModels: z.int().min(1),
  /** Whose jobs they are, in turn; null: nobody's. */
  owners: z.array(z.string().nullable()).min(1),
  /** Submissions under way at a time. */
  inFlight: z.int().min(1),
  /** Jobs of one model that a source holds at once. */
  perSource: z.int().min(1),
  imageBytes: z.int().min(1),
})
export type TrafficOptions = z.infer<typeof trafficOptionsSchema>

export interface Traffic {
  name: string
  models?: readonly string[]
  busyModels?: number
  owners?: readonly (string | null)[]
  /** Redis servers, each with all of it for itself. Default: 1. */
  servers?: number
}

/** Queue traffic with processes and Redis servers of its own. The Redis servers are parts `Redis 1`, `Redis 2`. */
export async function openQueueTraffic({
  name,
  models = ['no-op'],
  busyModels = models.length,
  owners = [null],
  servers = 1,
}: Traffic): Promise<Subject> {
  const streams: Stream[] = []
  const stop = async (): Promise<void> => void (await Promise.all(streams.map(async (stream) => stream.stop())))
  try {
    for (let index = 0; index < servers; index += 1) {
      const common = { models: [...models], busyModels, owners: [...owners], perSource: 64, imageBytes: 2000 }
      streams.push(await openStream({ ...common, inFlight: 128 }))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name,
    parts: () =>
      streams.flatMap(({ redis, producer, consumer }, index) => [
        { part: servers === 1 ? 'Redis' : `Redis ${index + 1}`, pid: redis },
        { part: 'producer', pid: producer.pid },
        { part: 'consumer', pid: consumer },
      ]),
    go: async () => void (await Promise.all(streams.map(async ({ producer }) => producer.go()))),
    tally: async () => sumOf(await Promise.all(streams.map(async ({ producer }) => producer.tally()))),
    pause: async () => void (await Promise.all(streams.map(async ({ producer }) => producer.pause()))),
    stop,
  }
}

interface Stream {
  redis: number
  producer: Awaited<ReturnType<typeof openDrive>>
  consumer: number
  stop(): Promise<void>
}

async function openStream(options: Omit<TrafficOptions, 'redisUrl' | 'kind'>): Promise<Stream> {
  const redis = await startTestRedis()
  const script = 'queue-traffic-process.ts'
  const argument = { ...options, redisUrl: redis.url }
  const consume: TrafficOptions = { ...argument, kind: 'consume' }
  const produce: TrafficOptions = { ...argument, kind: 'produce' }
  const consumer = await startServerProcess(script, [JSON.stringify(consume)])
  const producer = await openDrive(script, produce)
  return {
    redis: redis.pid,
    producer,
    consumer: consumer.pid,
    async stop() {
      await producer.stop()
      await consumer.stop()
      await redis.stop()
    },
  }
}
