import { fileURLToPath } from 'node:url'

import { type JobResponse, jobResponseSchema } from '@vision-queue/protocol'
import { final, read, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, test } from 'vitest'

const [example] = readExamples()
let system: System

beforeAll(async () => {
  system = await startSystem({
    apis: 2,
    engineEntry: fileURLToPath(new URL('unruly/engine.ts', import.meta.url)),
    consumerEnv: { ENGINES: '1', ANSWER_TTL_MS: '0' },
  })
})
afterAll(async () => {
  await system.stop()
})

async function ask(more: string): Promise<string> {
  if (example === undefined) throw new Error('No examples')
  return submit(system.url, { ...example, question: `${example.question} ${more}` })
}

/** Of the other API process than the one that was given the job. */
async function order(id: string, what: 'cancel' | 'retry'): Promise<JobResponse> {
  const response = await fetch(`${system.apis[1]?.url}/jobs/${id}/${what}`, { method: 'POST' })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return jobResponseSchema.parse(await response.json())
}

test('jobs that run are canceled at once, their neighbours finish, and a canceled one can be asked again', async () => {
  const launched = await ask('(block 4000)')
  await until(async () => (await read(system.url, launched)).status === 'running', 'the first one runs')
  const [dropped, neighbour] = [await ask('(block 3)'), await ask('(block 4)')]
  await until(async () => (await read(system.url, neighbour)).status === 'running', 'the others are held')
  expect(await order(dropped, 'cancel')).toMatchObject({ status: 'canceled', output: null, attempts: 1 })
  expect(await order(launched, 'cancel')).toMatchObject({ status: 'canceled', output: null })
  expect(await final(system.url, neighbour)).toMatchObject({ status: 'succeeded' })
  // Its run has ended by now, as the neighbour's came after it.
  expect(await read(system.url, launched)).toMatchObject({ status: 'canceled', output: null })
  const again = await order(dropped, 'retry')
  expect(again).toMatchObject({ retry_of: dropped })
  expect(await final(system.url, again.id)).toMatchObject({ status: 'succeeded', retry_of: dropped })
  expect((await read(system.url, dropped)).status).toBe('canceled')
}, 60_000)
