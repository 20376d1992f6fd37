import { Worker } from 'bullmq'
import { Redis } from 'ioredis'

import { doneChannel, toldAtOnce } from './bare-queue.ts'

/** The consumer of the bare BullMQ loop. Argument: Redis' address. Prints a line once it takes jobs. */
const redis = new Redis(process.argv[2] ?? '', { maxRetriesPerRequest: null })
let done = 0
const worker = new Worker(
  'bare',
  async () => {
    done += 1
    if (done % toldAtOnce === 0) void redis.publish(doneChannel, String(toldAtOnce))
  },
  { connection: redis, concurrency: 64 },
)
// With its parent it ends.
process.once('disconnect', () => process.exit(0))
await worker.waitUntilReady()
console.log('ready')
