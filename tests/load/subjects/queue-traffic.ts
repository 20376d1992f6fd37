import { startTestRedis } from '@vision-queue/test-support/redis'
import { startTestCluster } from '@vision-queue/test-support/redis-groups'

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
  /** How many parts the queue of each model has. */
  queueParts: z.int().min(1),
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
  /** A Redis Cluster in place of them, with the queue of each model in so many parts; null, the default: none. */
  onCluster?: { queueParts: number } | null
}

/** Queue traffic with processes and Redis servers of its own. The Redis servers are parts `Redis 1`, `Redis 2`. */
export async function openQueueTraffic({
  name,
  models = ['no-op'],
  busyModels = models.length,
  owners = [null],
  servers = 1,
  onCluster = null,
}: Traffic): Promise<Subject> {
  const streams: Stream[] = []
  const stop = async (): Promise<void> => void (await Promise.all(streams.map(async (stream) => stream.stop())))
  try {
    for (let index = 0; index < servers; index += 1) {
      const { queueParts } = onCluster ?? { queueParts: 1 }
      const common = { models: [...models], busyModels, owners: [...owners], perSource: 64, imageBytes: 2000 }
      const redis = await (onCluster === null ? openServer() : openCluster())
      streams.push(await openStream(redis, { ...common, queueParts, inFlight: 128 }))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name,
    parts: () => {
      const pids = streams.flatMap(({ redis }) => redis.pids)
      return [
        ...pids.map((pid, index) => ({ part: pids.length === 1 ? 'Redis' : `Redis ${index + 1}`, pid })),
        ...streams.flatMap(({ producer, consumer }) => [
          { part: 'producer', pid: producer.pid },
          { part: 'consumer', pid: consumer },
        ]),
      ]
    },
    go: async () => void (await Promise.all(streams.map(async ({ producer }) => producer.go()))),
    tally: async () => sumOf(await Promise.all(streams.map(async ({ producer }) => producer.tally()))),
    pause: async () => void (await Promise.all(streams.map(async ({ producer }) => producer.pause()))),
    stop,
  }
}

/** The Redis of a stream, in one process or several. */
interface StreamRedis {
  url: string
  pids: number[]
  stop(): Promise<void>
}

async function openServer(): Promise<StreamRedis> {
  const { url, pid, stop } = await startTestRedis()
  return { url, pids: [pid], stop }
}

async function openCluster(): Promise<StreamRedis> {
  const { url, members, stop } = await startTestCluster()
  return { url, pids: members.map(({ pid }) => pid), stop }
}

interface Stream {
  redis: StreamRedis
  producer: Awaited<ReturnType<typeof openDrive>>
  consumer: number
  stop(): Promise<void>
}

async function openStream(redis: StreamRedis, options: Omit<TrafficOptions, 'redisUrl' | 'kind'>): Promise<Stream> {
  const script = 'queue-traffic-process.ts'
  const argument = { ...options, redisUrl: redis.url }
  const consume: TrafficOptions = { ...argument, kind: 'consume' }
  const produce: TrafficOptions = { ...argument, kind: 'produce' }
  const consumer = await startServerProcess(script, [JSON.stringify(consume)])
  const producer = await openDrive(script, produce)
  return {
    redis,
    producer,
    consumer: consumer.pid,
    async stop() {
      await producer.stop()
      await consumer.stop()
      await redis.stop()
    },
  }
}
