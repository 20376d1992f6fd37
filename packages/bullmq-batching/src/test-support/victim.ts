import { createRedisBackend, Worker } from 'bullmq'
import { Redis } from 'ioredis'

import { batchingBackend } from '../backend/batching-factory.ts'

/** A process to be killed: a Worker whose jobs take a while, and are noted when they are done. */
const [url = '', kind = '', name = ''] = process.argv.slice(2)
const redis = new Redis(url, { maxRetriesPerRequest: null })
const worker = new Worker(
  name,
  async ({ data }) => {
    await new Promise((resolve) => setTimeout(resolve, 40))
    await redis.sadd('done', data.i)
  },
  { connection: redis, concurrency: 16, lockDuration: 1000, stalledInterval: 500 },
  kind === 'batching' ? batchingBackend() : createRedisBackend,
)
await worker.waitUntilReady()
process.send?.('up')
