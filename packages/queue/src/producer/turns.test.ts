import type { Priority } from '@vision-queue/protocol'
import type { QueuedJob } from '../queued-job.ts'
import { waitingKey } from '../keys.ts'
import { describe, expect, test } from 'vitest'

import { type Admission, createAdmission } from './admission.ts'
import { createJobQueues, type JobQueues } from '../job-queues.ts'
import { blobs, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
const limits = { maxJobs: 1e6, maxBytes: 1e9, payloadTtlMs: 60_000 }
/** The most jobs that are taken between a job and its turn where "a few batches" are allowed; batches are of 16. */
const fewBatches = 3 * 16

/** A line of jobs whose consumer is the test: it takes as BullMQ does, the lowest first. */
interface Line {
  join(owner: string, priority?: Priority): Promise<void>
  /** Who comes next, as `owner priority number`, the number counting that owner's jobs of that priority. */
  next(): Promise<string>
}

function openLine(options: Parameters<typeof createAdmission>[1] = {}): Line & {
  admission: Admission
  queues: JobQueues
} {
  const admission = createAdmission(queue.redis, options)
  const queues = createJobQueues(queue.redis)
  queue.atEnd(() => queues.close())
  const waiting = new Map<string, { name: string; job: QueuedJob }>()
  const joined = new Map<string, number>()
  return {
    admission,
    queues,
    async join(owner, priority = 'normal') {
      const job = { ...newJob(), owner, priority }
      const number = (joined.get(`${owner} ${priority}`) ?? 0) + 1
      joined.set(`${owner} ${priority}`, number)
      waiting.set(job.id, { name: `${owner} ${priority} ${number}`, job })
      const admittance = await admission.admit(job, limits)
      if (admittance.kind !== 'admitted') throw new Error('not admitted')
      await queues.add(job, admittance.turn)
    },
    async next() {
      const [id = ''] = await queue.redis.zpopmin(waitingKey('m', 'jobs'))
      const taken = waiting.get(id)
      if (taken === undefined) throw new Error('nobody waits')
      waiting.delete(id)
      await admission.release(taken.job)
      return taken.name
    },
  }
}

async function times<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  while (results.length < count) results.push(await work())
  return results
}

/** Takes until `name` comes; how many came before it. */
async function countUntil(line: Line, name: string, most: number): Promise<number> {
  for (let before = 0; before <= most; before += 1) if ((await line.next()) === name) return before
  throw new Error(`${name} did not come within ${most}`)
}

describe('turns', () => {
  test('of one owner are in the order of submission', async () => {
    const line = openLine()
    await times(40, () => line.join('a'))
    const first = await times(20, () => line.next())
    await times(40, () => line.join('a'))
    const names = [...first, ...(await times(60, () => line.next()))]
    expect(names).toEqual(Array.from({ length: 80 }, (_, index) => `a normal ${index + 1}`))
  })

  test('of a burst that was admitted before any of it was queued are no worse for others', async () => {
    const line = openLine()
    await Promise.all(Array.from({ length: 300 }, async () => line.join('a')))
    await line.join('b')
    expect(await countUntil(line, 'b normal 1', 300)).toBeLessThanOrEqual(fewBatches)
  })

  test('are shared alike by owners who all have jobs waiting, however many', async () => {
    const line = openLine()
    await times(400, () => line.join('a'))
    await times(100, () => line.join('b'))
    await times(100, () => line.join('c'))
    const taken = (await times(240, () => line.next())).map((name) => name[0])
    for (const owner of ['a', 'b', 'c']) {
      const share = taken.filter((name) => name === owner).length
      expect(Math.abs(share - 80)).toBeLessThanOrEqual(16)
    }
  })

  test('that an owner had while nobody else wanted any are not held against it', async () => {
    const line = openLine()
    await line.join('c')
    for (let index = 0; index < 400; index += 1) {
      await line.join('a')
      await line.next()
    }
    await times(100, () => line.join('b'))
    await line.join('a')
    expect(await countUntil(line, 'a normal 401', 100)).toBeLessThanOrEqual(fewBatches)
  })

  test('come sooner with high and later with low priority', async () => {
    const line = openLine()
    await times(100, () => line.join('a'))
    await line.join('a', 'low')
    await line.join('a', 'high')
    await line.join('b', 'high')
    const first = await times(3, () => line.next())
    expect(first).toContain('a high 1')
    expect(first).toContain('b high 1')
    const rest = await times(100, () => line.next())
    expect(rest.at(-1)).toBe('a low 1')
  })

  test.each(['normal', 'high'] as const)('of low priority come, though %s ones never end', async (endless) => {
    const line = openLine()
    await times(64, () => line.join('a', endless))
    await line.join('b', 'low')
    let before = 0
    while ((await line.next()) !== 'b low 1') {
      await line.join('a', endless)
      before += 1
      expect(before).toBeLessThan(1000)
    }
    // Low is no name for nothing.
    expect(before).toBeGreaterThan(64)
  })

  test('begin anew when nothing is left, and what is known of them lapses', async () => {
    const line = openLine()
    await times(100, () => line.join('a'))
    await times(100, () => line.next())
    await line.join('b')
    await line.join('b')
    expect(Object.keys(await queue.redis.hgetall('vq:{m}:turns:jobs')).toSorted()).toEqual([
      'clock',
      'last',
      'normal b',
    ])
    expect(await queue.redis.pttl('vq:{m}:turns:jobs')).toBeGreaterThan(0)
  })

  test('go on in order where the numbers for them are used up, even of a job that was on its way then', async () => {
    const line = openLine({ rounds: 1024 })
    await times(20, () => line.join('a'))
    let late: { job: QueuedJob; turn: number } | null = null
    let setBack = false
    for (let taken = 1; taken <= 6000; taken += 1) {
      await line.join('a')
      expect(await line.next()).toBe(`a normal ${taken}`)
      const clock = Number(await queue.redis.hget('vq:{m}:turns:jobs', 'clock')) / 32
      if (clock > 508 && late === null) {
        const job = newJob()
        const admittance = await line.admission.admit(job, limits)
        if (admittance.kind === 'admitted') late = { job, turn: admittance.turn }
      }
      if (late !== null && clock < 100) {
        setBack = true
        await line.queues.add(late.job, late.turn)
        break
      }
    }
    expect(setBack).toBe(true)
    const place = async (): Promise<number | null> => queue.redis.zrank(waitingKey('m', 'jobs'), late?.job.id ?? '')
    expect(await place()).toBeGreaterThanOrEqual(20)
    for (let joined = 0; joined < 16; joined += 1) await line.join('a')
    expect(await place()).toBeLessThanOrEqual(20)
  }, 30_000)
})

test('10,000 jobs of one owner delay the job of another by a few batches', async () => {
  const client = await queue.connect({ maxJobs: 20_000, maxBytes: 1e9 })
  const submit = async (owner: string): Promise<string> => {
    const job = { ...newJob(), owner }
    await client.submit(job, blobs)
    return job.id
  }
  for (let sent = 0; sent < 10_000; sent += 500) {
    await Promise.all(Array.from({ length: 500 }, async () => submit('many')))
  }
  const results = queue.resultStore()
  const started: string[] = []
  let batch: (() => void)[] = []
  // An engine that takes sixteen at a time.
  queue.consume(
    async ({ job, id }) => {
      started.push(id)
      await new Promise<void>((resolve) => {
        batch.push(resolve)
        if (batch.length < 16) return
        const whole = batch
        batch = []
        setImmediate(() => {
          for (const end of whole) end()
        })
      })
      if (job !== null) await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    },
    { concurrency: 16, lockMs: 10_000 },
  )
  await expect.poll(() => started.length, { interval: 5 }).toBeGreaterThan(320)
  const before = started.length
  const id = await submit('one')
  await expect.poll(() => started.includes(id), { interval: 5 }).toBe(true)
  expect(started.indexOf(id) - before).toBeLessThanOrEqual(fewBatches + 16)
  expect((await client.depth('m')).jobs).toBeGreaterThan(8000)
  for (const end of batch) end()
}, 60_000)
