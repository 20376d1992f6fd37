import { jobResponseSchema } from '@vision-queue/protocol'
import { final, forms } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

/** What an Idempotency-Key promises, with real processes: two API processes that share a Redis, one of which is killed. */
let system: System
let examples: Example[]

beforeAll(async () => {
  examples = readExamples()
  system = await startSystem({ apis: 2, consumers: 2 })
})
afterAll(async () => {
  await system.stop()
})

const urlOf = (index: number): string => system.apis[index % 2]?.url ?? ''

function exampleAt(index: number): Example {
  const example = examples[index % examples.length]
  if (example === undefined) throw new Error('No examples')
  return { ...example, question: `${example.question} (${index})` }
}

async function post(url: string, index: number, key: string): Promise<{ id: string; status: number }> {
  const response = await forms.multipart(url, exampleAt(index), { 'Idempotency-Key': key })
  return { id: jobResponseSchema.parse(await response.json()).id, status: response.status }
}

async function idsOfAll(url: string): Promise<string[]> {
  const list = await (await fetch(`${url}/jobs?limit=100`)).json()
  return z
    .object({ jobs: z.array(z.object({ id: z.string() })) })
    .parse(list)
    .jobs.map(({ id }) => id)
}

test('20 requests at once with one key, through two API processes, are one job', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, async (_, index) => post(urlOf(index), 0, 'all-at-once')))
  const [first] = all
  expect(new Set(all.map(({ id }) => id)).size).toBe(1)
  expect(await idsOfAll(system.url)).toEqual([first?.id])
  expect(await final(system.url, first?.id ?? '')).toMatchObject({ status: 'succeeded' })
})

test('an API process that is killed in the midst of submissions blocks no key and doubles no job', async () => {
  const before = await idsOfAll(urlOf(1))
  const keys = Array.from({ length: 40 }, (_, index) => index)
  const first = keys.map(async (index) => post(urlOf(0), index, `killed-${index}`).catch(() => null))
  // When some are through and others are not.
  await Promise.race(first)
  system.apis[0]?.signal('SIGKILL')
  const answered = await Promise.all(first)
  const resent = await Promise.all(keys.map(async (index) => post(urlOf(1), index, `killed-${index}`)))
  expect(resent.every(({ status }) => status === 202)).toBe(true)
  // Whoever had an answer before the kill has the same one now.
  expect(resent.map(({ id }, index) => answered[index]?.id ?? id)).toEqual(resent.map(({ id }) => id))
  const after = (await idsOfAll(urlOf(1))).filter((id) => !before.includes(id))
  expect(after.toSorted()).toEqual(resent.map(({ id }) => id).toSorted())
  const ends = await Promise.all(resent.map(async ({ id }) => final(urlOf(1), id)))
  expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(['succeeded']))
}, 60_000)
