import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { final, read } from '@vision-queue/test-support/client'
import { enginesOf } from '@vision-queue/test-support/engine-pids'
import { readExamples } from '@vision-queue/test-support/examples'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const unrulyEngine = fileURLToPath(new URL('unruly/engine.ts', import.meta.url))
const eventually = { timeout: 100_000, interval: 50 }
let repository: string
let system: System
let consumer: RunningProcess

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-models-'))
  for (const name of ['one', 'two']) await writeTinyModel(join(repository, name, '1'))
  await breakEngines()
  system = await startSystem({
    consumers: 0,
    engineEntry: unrulyEngine,
    apiEnv: { MODELS_REFRESH_MS: '50' },
    consumerEnv: {
      MODELS: '',
      MODEL_REPOSITORY: repository,
      MODEL_POLL_MS: '200',
      ENGINES: '1',
      ENGINE_RETRY_MAX_MS: '1000',
    },
  })
})
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

const breakEngines = async (): Promise<void> => writeFile(join(repository, '.no-engines'), '')
const mendEngines = async (): Promise<void> => rm(join(repository, '.no-engines'))

const lossSchema = z.object({
  model: z.string(),
  status: z.string(),
  error: z.string().nullable(),
  retry_at: z.iso.datetime().nullable(),
})
const readinessSchema = z.object({
  status: z.string(),
  missing: z.array(z.string()),
  without_engines: z.array(lossSchema).optional(),
})

async function readiness() {
  const response = await fetch(`${system.url}/health/ready`)
  return { code: response.status, ...readinessSchema.parse(await response.json()) }
}

async function shown(name: string) {
  const response = await fetch(`${system.url}/models/${name}`)
  return z
    .object({ status: z.string(), error: z.string().nullish(), retry_at: z.string().nullish() })
    .parse(await response.json())
}

async function submit(model: string): Promise<Response> {
  const [example] = readExamples()
  const query = new URLSearchParams({ model, question: 'is it large?' })
  return fetch(`${system.url}/jobs?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': example?.type ?? '' },
    body: Uint8Array.from(example?.image ?? []),
  })
}

test('engines that are killed while they load are tried for ever, and load once nothing kills them', async () => {
  consumer = await system.addConsumer()
  const tries = new Set<string>()
  await expect
    .poll(async () => {
      const { retry_at } = await shown('one')
      if (retry_at != null) tries.add(retry_at)
      return tries.size
    }, eventually)
    .toBeGreaterThan(5)
  expect(await shown('one')).toMatchObject({
    status: 'loading',
    error: 'The engine ended while loading (signal SIGKILL).',
  })
  expect(await readiness()).toMatchObject({
    code: 503,
    missing: ['models'],
    without_engines: [{ model: 'one@1' }, { model: 'two@1' }],
  })
  expect(await (await submit('one')).text()).toContain('The engine ended while loading (signal SIGKILL).')
  await mendEngines()
  await expect.poll(async () => (await shown('one')).status, eventually).toBe('ready')
  await expect.poll(readiness, eventually).toEqual({ code: 200, status: 'ready', missing: [] })
}, 200_000)

test('a model that loses its engines is told by readiness and GET /models, its jobs wait, and it comes back by itself', async () => {
  await breakEngines()
  for (const pid of enginesOf(consumer.pid)) process.kill(pid, 'SIGKILL')
  await expect.poll(readiness, eventually).toMatchObject({
    code: 200,
    status: 'ready',
    without_engines: [{ model: 'one@1', status: 'loading' }, { model: 'two@1' }],
  })
  const { status, error, retry_at } = await shown('one')
  expect([status, error]).toEqual(['loading', 'The engine ended while loading (signal SIGKILL).'])
  expect(Date.parse(retry_at ?? '')).toBeGreaterThan(Date.now() - 10_000)
  const accepted = await submit('one')
  expect(accepted.status).toBe(202)
  const { id } = jobResponseSchema.parse(await accepted.json())
  expect((await read(system.url, id, 1)).status).toBe('queued')
  await mendEngines()
  expect((await final(system.url, id)).status).toBe('succeeded')
  await expect.poll(async () => (await readiness()).without_engines, eventually).toBeUndefined()
}, 200_000)
