import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import {
  type BackendFactory,
  createRedisBackend,
  type RedisQueueBackend,
  type Processor,
  Queue,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'

import { batchingBackend, type BatchingOptions } from '../backend/batching-factory.ts'

/** Who works on a queue: the batching backend, or BullMQ's own. */
export type Kind = 'batching' | 'bullmq'

/** Queues and Workers in a Redis of the test file's own, which is emptied before each test. */
export interface TestQueues {
  readonly url: string
  readonly redis: Redis
  /** A connection as BullMQ wants it. */
  connect(): Redis
  queue(kind?: Kind, options?: Partial<QueueOptions> & BatchingOptions): Queue
  worker(process: Processor, options?: Partial<WorkerOptions> & BatchingOptions & { kind?: Kind }): Worker
  /** Closes something of the test's own when the test is over. */
  atEnd(close: () => unknown): void
  /** Waits until nothing waits or runs. */
  idle(queue: Queue): Promise<void>
}

export const queueName = 'jobs'
export const sleep = async (ms: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

function backendOf(kind: Kind, options: BatchingOptions): BackendFactory<RedisQueueBackend> {
  return kind === 'batching' ? batchingBackend(options) : createRedisBackend
}

/** Resolves as soon as the question is answered with yes. */
export async function until(question: () => Promise<boolean> | boolean, what: string, mostMs = 20_000): Promise<void> {
  const start = performance.now()
  while (!(await question())) {
    if (performance.now() - start > mostMs) throw new Error(`Not after ${mostMs} ms: ${what}`)
    await sleep(10)
  }
}

/** Called at the top of a test file: starts and stops what the tests use. */
export function useTestQueues(): TestQueues {
  let server: TestRedis
  let redis: Redis
  const closing: (() => unknown)[] = []

  beforeAll(async () => {
    server = await startTestRedis()
    redis = new Redis(server.url)
  })
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })
  beforeEach(async () => {
    await redis.flushall()
  })
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })

  const connect = (): Redis => {
    const connection = new Redis(server.url, { maxRetriesPerRequest: null })
    connection.on('error', () => {})
    closing.push(() => connection.disconnect())
    return connection
  }

  return {
    get url() {
      return server.url
    },
    get redis() {
      return redis
    },
    connect,
    queue(kind = 'batching', options = {}) {
      const factory = backendOf(kind, options)
      const queue = new Queue(queueName, { connection: connect(), ...options }, factory)
      queue.on('error', () => {})
      closing.push(async () => queue.close())
      return queue
    },
    worker(process, { kind = 'batching', ...options } = {}) {
      const factory = backendOf(kind, options)
      const worker = new Worker(queueName, process, { connection: connect(), ...options }, factory)
      closing.push(async () => worker.close())
      return worker
    },
    atEnd(close) {
      closing.push(close)
    },
    async idle(queue) {
      await until(async () => {
        const { waiting = 0, active = 0, prioritized = 0, delayed = 0 } = await queue.getJobCounts()
        return waiting + active + prioritized + delayed === 0
      }, 'nothing waits or runs')
    },
  }
}
