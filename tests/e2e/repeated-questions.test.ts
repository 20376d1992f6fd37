import { jobSchema } from '@vision-queue/protocol'
import { final, readMetric } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

const examples = readExamples()
let system: System

beforeAll(async () => {
  system = await startSystem({ apis: 2, consumers: 1, consumerEnv: { ANSWER_TTL_MS: '600000' } })
})
afterAll(async () => {
  await system.stop()
})

async function ask(example: Example, { api = 0, cache = true, wait = true } = {}) {
  const query = new URLSearchParams({ model: 'shapes-vqa', question: example.question, cache: String(cache) })
  const response = await fetch(`${system.apis[api]?.url}/jobs?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': example.type, ...(wait ? { prefer: 'wait=30' } : {}) },
    body: Uint8Array.from(example.image),
  })
  return { status: response.status, job: jobSchema.parse(await response.json()) }
}

function pick(index: number): Example {
  const found = examples[index]
  if (found === undefined) throw new Error('No such example')
  return found
}

/** The sum of a metric over its series with these labels. */
async function count(name: string, wanted: Record<string, string> = {}): Promise<number> {
  const series = (await readMetric(system.url, name)).filter(({ labels }) =>
    Object.entries(wanted).every(([label, value]) => labels[label] === value),
  )
  return series.reduce((sum, { value }) => sum + value, 0)
}

test('twenty that ask the same at once are computed once, and all have the answer', async () => {
  const asked = await Promise.all(Array.from({ length: 20 }, async (_, index) => ask(pick(0), { api: index % 2 })))
  expect(asked.map(({ job }) => job.status)).toEqual(asked.map(() => 'succeeded'))
  expect(new Set(asked.map(({ job }) => JSON.stringify(job.output))).size).toBe(1)
  expect(asked.filter(({ job }) => !job.cached)).toHaveLength(1)
  await expect.poll(async () => count('vision_queue_batches_total'), { timeout: 10_000 }).toBe(1)
})

test('a repeated question is answered without a consumer, by each API process, and counted', async () => {
  const { job: first } = await ask(pick(1))
  const again = await ask(pick(1))
  expect(again).toMatchObject({ status: 200, job: { status: 'succeeded', cached: true, output: first.output } })
  expect(again.job.id).not.toBe(first.id)
  await ask(pick(1))
  expect(await count('vision_queue_answers_total', { from: 'memory' })).toBe(1)
  const elsewhere = await ask(pick(1), { api: 1, wait: false })
  expect(elsewhere).toMatchObject({ status: 202, job: { status: 'succeeded', cached: true } })
  // From either process, under its own id.
  expect(await final(system.url, elsewhere.job.id)).toMatchObject({ cached: true, output: first.output })
})

test('who opts out has it computed', async () => {
  await ask(pick(2))
  const { job } = await ask(pick(2), { cache: false })
  expect(job).toMatchObject({ status: 'succeeded', cached: false })
  expect(job.metrics?.batch_size).toBeGreaterThan(0)
})
