import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { type Job, jobResponseSchema } from '@vision-queue/protocol'
import { availableCores } from '@vision-queue/process'
import { answerOf, final, read, readMetric, submit } from '@vision-queue/test-support/client'
import { enginesOf } from '@vision-queue/test-support/engine-pids'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System, type SystemOptions } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterEach, describe, expect, test } from 'vitest'

const examples = readExamples()
const unrulyEngine = fileURLToPath(new URL('unruly/engine.ts', import.meta.url))
const lockMs = 2000
const stalledCheckMs = 500

let system: System
afterEach(async () => {
  await system.stop()
})

async function start(options: SystemOptions = {}): Promise<void> {
  system = await startSystem({
    engineEntry: unrulyEngine,
    ...options,
    consumerEnv: { LOCK_MS: String(lockMs), STALLED_CHECK_MS: String(stalledCheckMs), ...options.consumerEnv },
  })
}

/** Submits so many examples, with something more in their questions, and resolves to their ids. */
async function submitMany(count: number, more = ''): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const example = examples[index % examples.length]
      if (example === undefined) throw new Error('No examples')
      return submit(system.url, { ...example, question: `${example.question} ${more}`.trim() })
    }),
  )
}

async function finals(ids: string[]): Promise<Job[]> {
  return Promise.all(ids.map(async (id) => final(lastUrl(), id)))
}

/** Of an API that is not in the process of the first consumer, where there are two. */
function lastUrl(): string {
  return system.apis.at(-1)?.url ?? ''
}

describe('an engine', () => {
  test.runIf(process.platform === 'linux')('killed with -9 in the middle of a batch loses no job', async () => {
    await start({ consumerEnv: { ENGINES: '2' } })
    const ids = await submitMany(24, '(block 300)')
    const [consumer] = system.consumers
    await until(async () => (await read(system.url, ids[0] ?? '')).status !== 'queued', 'a batch runs')
    const engines = enginesOf(consumer?.pid ?? 0)
    // As many as asked for, or as there are cores.
    expect(engines).toHaveLength(Math.min(2, availableCores()))
    for (const pid of engines) process.kill(pid, 'SIGKILL')
    const jobs = await finals(ids)
    expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
    await expect
      .poll(async () => (await readMetric(system.url, 'vision_queue_engine_restarts_total'))[0]?.value, {
        timeout: 10_000,
      })
      .toBeGreaterThanOrEqual(engines.length)
  })

  test('that a job kills each time fails that job alone', async () => {
    await start({ consumerEnv: { ENGINES: '1' } })
    // The first batch holds the engine while the others gather into one with the poison among them.
    const before = await submitMany(1, '(block 500)')
    const neighbours = await submitMany(6)
    const [poison] = await submitMany(1, '(die)')
    const after = await submitMany(6)
    expect(await final(system.url, poison ?? '')).toMatchObject({
      status: 'failed',
      output: null,
      error: { code: 'engine_crashed', retryable: false },
    })
    const jobs = await finals([...before, ...neighbours, ...after])
    expect(jobs.map(({ status }) => status)).toEqual(jobs.map(() => 'succeeded'))
  })
})

describe('a consumer', () => {
  test('killed with -9 loses no job: another has taken them over within lock and check', async () => {
    await start({ apis: 2, consumerEnv: { ENGINES: '1' } })
    const ids = await submitMany(16, '(block 400)')
    await until(async () => (await read(system.url, ids[0] ?? '')).status !== 'queued', 'a batch runs')
    system.consumers[0]?.signal('SIGKILL')
    const killedAt = Date.now()
    await system.addConsumer()
    const jobs = await finals(ids)
    expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
    const takenOver = jobs.filter(({ attempts }) => attempts > 1)
    expect(takenOver.length).toBeGreaterThan(0)
    // The promise is relative to its settings; what the new consumer takes to start comes on top.
    const firstTakenAt = Math.min(...takenOver.map(({ started_at }) => Date.parse(started_at ?? '')))
    expect(firstTakenAt - killedAt).toBeLessThan(lockMs + stalledCheckMs + 20_000)
  })

  test('stopped with SIGTERM finishes what runs and hands the rest back at once', async () => {
    // Locks so long that only a hand-back can explain the others being done.
    await start({ apis: 2, consumerEnv: { ENGINES: '1', LOCK_MS: '600000' } })
    const ids = await submitMany(100, '(block 1500)')
    await until(async () => (await read(system.url, ids[0] ?? '')).status !== 'queued', 'a batch runs')
    const [stopping] = system.consumers
    stopping?.signal('SIGTERM')
    expect(await stopping?.exited).toEqual({ code: 0, signal: null })
    const early = await Promise.all(ids.map(async (id) => read(lastUrl(), id)))
    expect(new Set(early.map(({ status }) => status))).toEqual(new Set(['succeeded', 'queued']))
    await system.addConsumer()
    const jobs = await finals(ids)
    expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
  })
})

describe('a job', () => {
  test('whose deadline passes while others run ends as expired, and runs never', async () => {
    await start({ consumerEnv: { ENGINES: '1' } })
    const [before = ''] = await submitMany(1, '(block 4000)')
    await until(async () => (await read(system.url, before)).status !== 'queued', 'the job is taken')
    // Until it is decoded and launched another job may join its batch, and would have started in time.
    await delay(1000)
    const [example] = examples
    const body = { input: { image: example?.image.toString('base64'), question: 'How many?' }, deadline_ms: 200 }
    const response = await fetch(`${system.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const { id } = jobResponseSchema.parse(await response.json())
    expect(await final(system.url, id)).toMatchObject({
      status: 'expired',
      output: null,
      error: { code: 'deadline_exceeded', retryable: true },
    })
  })
})

describe('results', () => {
  test('are forgotten after RESULT_TTL_MS, the same answer for all ways to ask', async () => {
    await start({ consumerEnv: { RESULT_TTL_MS: '1000', ENGINES: '1' } })
    const [id = ''] = await submitMany(1)
    expect(answerOf(await final(system.url, id))).toBeDefined()
    await until(async () => (await fetch(`${system.url}/jobs/${id}`)).status === 404, 'the result is gone')
    for (const path of [`/jobs/${id}?wait=5`, `/jobs/${id}/events`]) {
      expect((await fetch(`${system.url}${path}`)).status).toBe(404)
    }
  })
})
