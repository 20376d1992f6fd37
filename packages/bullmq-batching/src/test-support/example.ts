import { addStep, batchingBackend, createTurns, queueSteps } from '@vision-queue/bullmq-batching'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'

const redis = new Redis(process.argv[2] ?? 'redis://127.0.0.1:6379', { maxRetriesPerRequest: null })

// Steps of your own, in Lua: at most so many jobs at once, and a place less with each that is done.
const turns = createTurns(redis, {
  ...queueSteps,
  enter: `
    if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then return 'full', true end
    redis.call('INCR', KEYS[1])
    return 'entered'`,
  leave: `
    publish(ARGV[1], ARGV[2])
    return redis.call('DECR', KEYS[1])`,
})

const queue = new Queue('photos', { connection: redis }, batchingBackend({ turns }))
const worker = new Worker(
  'photos',
  async (job) => ({ size: job.data.width * job.data.height }),
  { connection: redis, concurrency: 64 },
  batchingBackend({
    turns,
    // Travels with the job's end, in the same script call.
    finishing: (job, value) => [
      { name: 'leave', keys: ['photos:places'], args: ['photos:done', JSON.stringify({ id: job.id, value })] },
    ],
  }),
)
worker.on('completed', (job, value) => console.log(`${job.id} ${JSON.stringify(value)}`))

// As ever.
await queue.add('measure', { width: 6, height: 4 }, { jobId: 'one', removeOnComplete: true })

// Or behind a step that may refuse it.
const replies = await turns.run([
  { name: 'enter', keys: ['photos:places'], args: [2] },
  addStep(
    { prefix: 'bull', name: 'photos' },
    { id: 'two', name: 'measure', data: { width: 3, height: 2 }, opts: { removeOnComplete: true } },
  ),
])
console.log(replies.join(' '))

while ((await queue.getJobCountByTypes('waiting', 'active')) > 0)
  await new Promise((resolve) => setTimeout(resolve, 20))
await worker.close()
await queue.close()
redis.disconnect()
