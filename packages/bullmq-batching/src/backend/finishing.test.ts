import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { expect, test, vi } from 'vitest'

import { addStep } from '../steps/add-step.ts'
import { queueSteps } from '../steps/queue-steps.ts'
import { step } from '../test-support/counting-steps.ts'
import { queueName, sleep, until, useTestQueues } from '../test-support/test-queue.ts'
import { createTurns } from '../turns/create-turns.ts'
import { batchingBackend } from './batching-factory.ts'

const queues = useTestQueues()

const sources = {
  ...queueSteps,
  // The first final state stays.
  result: `
    if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return redis.call('GET', KEYS[1]), true end
    publish(ARGV[2], ARGV[1])
    return 'stored'`,
  bound: `
    local places = tonumber(redis.call('GET', KEYS[1]) or 0)
    if places >= tonumber(ARGV[1]) then return 'full', true end
    redis.call('INCR', KEYS[1])
    chain.carry = ARGV[2]
    return 'admitted'`,
  leave: `return redis.call('DECR', KEYS[1])`,
  broken: `return redis.call('LPUSH', KEYS[1], 'x')`,
}

test('the steps of a caller end with the job: its result is there before the job is gone', async () => {
  const turns = createTurns(queues.connect(), sources)
  const queue = queues.queue('batching', { turns })
  await queues.redis.set('places', 20)
  const subscriber = queues.connect()
  const heard: unknown[] = []
  subscriber.on('message', (_, message: string) => heard.push(JSON.parse(message)))
  await subscriber.subscribe('replies')
  queues.worker(async ({ data }) => ({ answer: data.i }), {
    concurrency: 20,
    turns,
    finishing: ({ id }, value) => [
      step('result', `result:${id}`, JSON.stringify(value), 'replies'),
      step('leave', 'places'),
    ],
  })
  await Promise.all(Array.from({ length: 20 }, async (_, i) => queue.add('x', { i }, { removeOnComplete: true })))
  await queues.idle(queue)
  expect(await queues.redis.get('places')).toBe('0')
  expect(await queues.redis.keys('result:*')).toHaveLength(20)
  await vi.waitFor(() => expect(heard.flat()).toHaveLength(20))
  // All that ended in one turn is one message.
  expect(heard.length).toBeLessThan(20)
  expect(await queues.redis.keys('bull:jobs:[0-9]*')).toEqual([])
})

test('a step that ends the chain leaves the job’s end to a call of its own, after onStopped', async () => {
  const turns = createTurns(queues.connect(), sources)
  const queue = queues.queue('batching', { turns })
  await queues.redis.set('result:canceled', '"canceled"')
  const told: unknown[] = []
  queues.worker(async () => 'done', {
    concurrency: 2,
    turns,
    finishing: ({ id }, value) => [
      step('result', `result:${id}`, JSON.stringify(value), 'replies'),
      step('leave', 'places'),
    ],
    onStopped: async ({ id = '' }, replies) => {
      await sleep(20)
      told.push([id, replies, await queue.getActiveCount()])
    },
  })
  await queue.add('x', {}, { jobId: 'canceled' })
  await queues.idle(queue)
  await queue.add('x', {}, { jobId: 'fine' })
  await queues.idle(queue)
  expect(told).toEqual([['canceled', ['"canceled"'], 1]])
  expect(await queues.redis.mget('result:canceled', 'result:fine', 'places')).toEqual(['"canceled"', '"done"', '-1'])
  expect(await queue.getCompletedCount()).toBe(2)
})

test('a step that fails fails its job, and no other one of the turn', async () => {
  const turns = createTurns(queues.connect(), sources)
  const queue = queues.queue('batching', { turns })
  await queues.redis.set('word', 'no list')
  const worker = queues.worker(async ({ data }) => data.i, {
    concurrency: 10,
    turns,
    finishing: ({ data }) => (data.i === 3 ? [step('broken', 'word')] : []),
  })
  const errors: string[] = []
  worker.on('error', ({ message }) => errors.push(message))
  await queue.addBulk(Array.from({ length: 10 }, (_, i) => ({ name: 'x', data: { i } })))
  await queues.idle(queue)
  expect(await queue.getJobCounts('completed', 'failed')).toEqual({ completed: 9, failed: 1 })
  expect((await queue.getFailed())[0]?.failedReason).toContain('WRONGTYPE')
  expect(errors).toEqual([expect.stringContaining('WRONGTYPE')])
})

test('a chain of the caller’s own admits a job, gives its priority and adds it, or refuses it', async () => {
  const turns = createTurns(queues.connect(), sources)
  const queue = queues.queue('bullmq')
  const submit = async (id: string, turn: number): Promise<unknown[]> =>
    turns.run([
      step('bound', 'places', 3, turn),
      addStep(
        { prefix: 'bull', name: queueName },
        { id, name: 'infer', data: { id }, opts: { attempts: 2, backoff: 100, removeOnComplete: true } },
        { priorityFromCarry: true },
      ),
    ])
  const replies = await Promise.all([submit('a', 9), submit('b', 0), submit('c', 4), submit('d', 1)])
  expect(replies).toEqual([['admitted', 'a'], ['admitted', 'b'], ['admitted', 'c'], ['full']])
  // As BullMQ itself sees them.
  expect(await queue.getJob('d')).toBeUndefined()
  const job = await queue.getJob('a')
  expect(job).toMatchObject({
    name: 'infer',
    data: { id: 'a' },
    priority: 9,
    opts: { attempts: 2, backoff: { type: 'fixed', delay: 100 }, removeOnComplete: true, priority: 9 },
  })
  expect(await queue.getJobCounts('waiting', 'prioritized')).toEqual({ waiting: 1, prioritized: 2 })
  const ran: string[] = []
  queues.worker(async ({ id = '' }) => ran.push(id), { kind: 'bullmq' })
  await queues.idle(queue)
  expect(ran).toEqual(['b', 'c', 'a'])
})

test('a job added by a chain is what Queue.add makes of it, field by field', async () => {
  const turns = createTurns(queues.connect(), sources)
  const bullmq = queues.queue('bullmq')
  const batching = queues.queue()
  const timestamp = 1_700_000_000_000
  const data = { text: 'ä "quoted"', nested: [1, { a: null }] }
  for (const [id, opts] of [
    ['plain', {}],
    [
      'full',
      { attempts: 3, backoff: 50, priority: 5, removeOnComplete: { count: 3 }, removeOnFail: 7, stackTraceLimit: 2 },
    ],
    ['lifo', { lifo: true, backoff: { type: 'exponential', delay: 10 } }],
  ] as const) {
    await bullmq.add('x', data, { ...opts, jobId: id, timestamp })
    const expected = await queues.redis.hgetall(`bull:jobs:${id}`)
    await bullmq.remove(id)
    await batching.add('x', data, { ...opts, jobId: id, timestamp })
    const byQueue = await queues.redis.hgetall(`bull:jobs:${id}`)
    await bullmq.remove(id)
    await turns.run([addStep({ prefix: 'bull', name: queueName }, { id, name: 'x', data, opts, timestamp })])
    const byStep = await queues.redis.hgetall(`bull:jobs:${id}`)
    const parsed = ({ opts: text = '', ...rest }: Record<string, string>) => ({ ...rest, opts: JSON.parse(text) })
    // Queue.add keeps the id and the time that it was given among the options, too.
    const { jobId: _, timestamp: __, ...stored } = parsed(expected).opts
    expect(parsed(byQueue)).toEqual(parsed(expected))
    expect(parsed(byStep)).toEqual({ ...parsed(expected), opts: stored })
  }
})

test('when memory is full no job is added, and those that are there are done', async () => {
  const connection = queues.connect()
  const queue = queues.queue('batching', { connection })
  await queue.addBulk(Array.from({ length: 20 }, (_, i) => ({ name: 'x', data: { i } })))
  await queues.redis.config('SET', 'maxmemory', '1')
  try {
    await expect(queue.add('x', {})).rejects.toThrow(/^OOM /)
    queues.worker(async () => 'done', { concurrency: 5, removeOnComplete: { count: 0 }, skipStalledCheck: true })
    await queues.idle(queue)
    expect(await queue.getCompletedCount()).toBe(0)
  } finally {
    await queues.redis.config('SET', 'maxmemory', '0')
  }
})

test('turns that lack BullMQ’s steps are told so', async () => {
  const turns = createTurns(new Redis({ lazyConnect: true }), { mine: 'return 1' })
  const queue = new Queue(queueName, { connection: queues.connect() }, batchingBackend({ turns }))
  queues.atEnd(async () => queue.close())
  await expect(queue.add('x', {})).rejects.toThrow("createTurns was given no step 'bull:add', but these: mine")
})

test('Queues and Workers that share a connection share its turns', async () => {
  const connection = queues.connect()
  const first = queues.queue('batching', { connection })
  const second = new Queue('others', { connection }, batchingBackend())
  queues.atEnd(async () => second.close())
  await Promise.all([first.add('x', {}), second.add('x', {})])
  const calls = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await queues.redis.info('commandstats'))?.[1])
  const before = await calls()
  await Promise.all([first.add('x', {}), second.add('x', {}), first.add('x', {})])
  expect((await calls()) - before).toBe(1)
  expect(await first.getWaitingCount()).toBe(3)
  await until(async () => (await second.getWaitingCount()) === 2, 'the other queue has its own')
})
