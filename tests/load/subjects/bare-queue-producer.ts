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
const state = { going: false, sent: 0, done: 0 }

/** Jobs are told of in groups, so some of those in flight may be done without our knowing. */
function keepBusy(): void {
  while (state.going && state.sent - state.done < inFlight + toldAtOnce - 1) {
    state.sent += 1
    const data = { id: `job_${state.sent}`, input: { question: 'What is it?' }, parameters: {}, createdAt: Date.now() }
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
  state.done += Number(count)
  counter.done(Number(count))
  keepBusy()
})
serveDrive(counter, {
  async go() {
    state.going = true
    keepBusy()
  },
  async pause() {
    state.going = false
    // What is told of in groups may leave a few untold; the consumer counts on from there in the next window.
    while (state.sent - state.done >= toldAtOnce) await new Promise((resolve) => setTimeout(resolve, 5))
  },
})
