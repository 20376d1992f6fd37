import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

import { bareQueueOptionsSchema, doneChannel, toldAtOnce } from './bare-queue.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/** The producer of the bare BullMQ loop: it keeps so many jobs under way. Argument: bareQueueOptionsSchema as JSON. */
const { redisUrl, inFlight } = bareQueueOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const redis = new Redis(redisUrl, { maxRetriesPerRequest: null })
const queue = new Queue('bare', { connection: redis, skipWaitingForReady: true, streams: { events: { maxLen: 100 } } })
const subscriber = new Redis(redisUrl)
const counter = new Counter()
let sent = 0
let done = 0
let going = false

/** Jobs are told of in groups, so some of those in flight may be done without our knowing. */
function keepBusy(): void {
  while (going && sent - done < inFlight + toldAtOnce - 1) {
    sent += 1
    const data = { id: `job_${sent}`, input: { question: 'What is it?' }, parameters: {}, createdAt: Date.now() }
    const options = {
      jobId: data.id,
      removeOnComplete: true,
      attempts: 10,
      backoff: { type: 'exponential', delay: 500 },
    }
    queue.add('infer', data, options).catch((error: unknown) => counter.failed(String(error)))
  }
}

await subscriber.subscribe(doneChannel)
subscriber.on('message', (_channel, count) => {
  done += Number(count)
  counter.done(Number(count))
  keepBusy()
})
serveDrive(counter, {
  async go() {
    going = true
    keepBusy()
  },
  async pause() {
    going = false
    // What is told of in groups may leave a few untold; the consumer counts on from there in the next window.
    while (sent - done >= toldAtOnce) await new Promise((resolve) => setTimeout(resolve, 5))
  },
})
