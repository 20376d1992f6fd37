import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type Job, jobResponseSchema } from '@vision-queue/protocol'
import { tinyLabels, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { answerOf, final, problem, read, readMetric } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const adminKey = 'the-key-of-the-administrator'
const unrulyEngine = fileURLToPath(new URL('unruly/engine.ts', import.meta.url))
const eventually = { timeout: 30_000, interval: 50 }

let repository: string
let system: System

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-models-'))
  await write('tiny', '1')
  await write('tiny', '2')
  await writeFile(join(repository, 'tiny', 'aliases.json'), '{"stable":"1"}')
  await writeTinyModel(join(repository, 'broken', '1'), { 'model.json': { task: 'mind-reading' } })
  system = await startSystem({
    engineEntry: unrulyEngine,
    apiEnv: { ADMIN_KEY: adminKey, MODELS_REFRESH_MS: '50' },
    consumerEnv: { MODELS: '', MODEL_REPOSITORY: repository, MODEL_POLL_MS: '100', ENGINES: '1', CONCURRENCY: '2' },
  })
})
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

/** A model whose answers name its version. */
async function write(name: string, version: string): Promise<void> {
  const id2label = Object.fromEntries(tinyLabels.map((label, index) => [String(index), `${label} of ${version}`]))
  await writeTinyModel(join(repository, name, version), { 'config.json': { id2label } })
}

async function post(model: string, question = 'is it large?'): Promise<Response> {
  const [example] = readExamples()
  const query = new URLSearchParams({ model, question })
  return fetch(`${system.url}/jobs?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': example?.type ?? '' },
    body: Uint8Array.from(example?.image ?? []),
  })
}

async function submit(model: string, question?: string): Promise<string> {
  const response = await post(model, question)
  if (response.status !== 202) throw new Error(`Not accepted: ${response.status} ${await response.text()}`)
  return jobResponseSchema.parse(await response.json()).id
}

async function run(model: string): Promise<Job> {
  return final(system.url, await submit(model))
}

const modelSchema = z.object({
  name: z.string(),
  status: z.string(),
  error: z.string().nullable(),
  version: z.string(),
  aliases: z.record(z.string(), z.string()),
  version_details: z.array(z.object({ version: z.string(), status: z.string(), error: z.string().nullable() })),
})

async function shown(name: string): Promise<z.infer<typeof modelSchema> | undefined> {
  const body: unknown = await (await fetch(`${system.url}/models`)).json()
  return z
    .object({ models: z.array(modelSchema) })
    .parse(body)
    .models.find((one) => one.name === name)
}

async function states(name: string): Promise<Record<string, string>> {
  return Object.fromEntries(
    ((await shown(name))?.version_details ?? []).map(({ version, status }) => [version, status]),
  )
}

async function order(path: string, body?: object, key: string | null = adminKey): Promise<Response> {
  return fetch(`${system.url}/models/${path}`, {
    method: 'POST',
    headers: key === null ? {} : { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

test('two versions answer side by side, by number and by alias; others run on the newest', async () => {
  await expect.poll(() => states('tiny'), eventually).toEqual({ '2': 'ready', '1': 'ready' })
  expect(await shown('tiny')).toMatchObject({ version: '2', aliases: { stable: '1' }, status: 'ready' })
  const jobs = await Promise.all(['tiny', 'tiny@1', 'tiny@2', 'tiny@stable'].map(run))
  expect(jobs.map(({ version }) => version)).toEqual(['2', '1', '2', '1'])
  expect(jobs.map(answerOf)).toEqual(['word of 2', 'word of 1', 'word of 2', 'word of 1'])
  expect(jobs.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1])
  await expect
    .poll(async () => {
      const finished = await readMetric(system.url, 'vision_queue_jobs_finished_total')
      return new Set(finished.map(({ labels }) => labels['version']))
    }, eventually)
    .toEqual(new Set(['1', '2']))
})

test('an unknown version or alias is 404 and the answer lists what there is', async () => {
  for (const reference of ['tiny@3', 'tiny@unstable']) {
    const refused = await problem(await post(reference))
    expect([refused.status, refused.code]).toEqual([404, 'model_not_found'])
    expect(refused.detail).toContain('tiny@2, tiny@1, tiny@stable')
  }
})

test('a bad folder is reported with its sentence beside the good one, and its jobs are refused with it', async () => {
  await expect.poll(async () => (await shown('broken'))?.status, eventually).toBe('failed')
  expect((await shown('broken'))?.error).toContain('mind-reading')
  const refused = await problem(await post('broken'))
  expect([refused.status, refused.code]).toEqual([503, 'model_unavailable'])
  expect(refused.detail).toContain('mind-reading')
  const document: unknown = await (await fetch(`${system.url}/openapi.json`)).json()
  expect(document).toMatchObject({ components: { schemas: { 'tiny.input': {} } } })
})

test('a folder as it was downloaded, copied in, is served by what its files say, or refused with what to do', async () => {
  const config = { architectures: ['ViltForQuestionAnswering'], id2label: { 0: 'r', 1: 'g', 2: 'b', 3: 'word' } }
  await writeTinyModel(join(repository, 'downloaded'), { 'model.json': null, 'config.json': config })
  const pose = { architectures: ['VitPoseForPoseEstimation'] }
  await writeTinyModel(join(repository, 'pose'), { 'model.json': null, 'config.json': pose })
  await expect.poll(() => states('downloaded'), eventually).toEqual({ '1': 'ready' })
  const job = await run('downloaded')
  expect(job).toMatchObject({ status: 'succeeded', version: '1' })
  expect(answerOf(job)).toBe('word')
  await expect.poll(async () => (await shown('pose'))?.status, eventually).toBe('failed')
  expect((await shown('pose'))?.error).toContain('pose/1 is a model for keypoint-detection')
})

test('a new version, copied in while jobs run, takes over; no job fails', async () => {
  const over = new AbortController()
  const jobs: Job[] = []
  const clients = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) jobs.push(await run('tiny'))
  })
  await write('staged', '3')
  await cp(join(repository, 'staged', '3'), join(repository, 'tiny', '3'), { recursive: true })
  await expect.poll(() => states('tiny'), eventually).toEqual({ '3': 'ready', '2': 'unloaded', '1': 'ready' })
  expect((await order('tiny/reload')).status).toBe(202)
  const before = jobs.length
  await until(() => jobs.length > before + 20, 'more jobs have run')
  over.abort()
  await Promise.all(clients)
  expect(new Set(jobs.map(({ status }) => status))).toEqual(new Set(['succeeded']))
  expect(jobs.filter((job) => answerOf(job) !== `word of ${job.version}`)).toEqual([])
  // Never the older one that an alias keeps loaded.
  expect(new Set(jobs.map(({ version }) => version))).toEqual(new Set(['2', '3']))
  expect(jobs.at(-1)?.version).toBe('3')
  expect(new Set(jobs.map(({ attempts }) => attempts))).toEqual(new Set([1]))
})

test('orders need the key', async () => {
  for (const key of [null, 'another', `${adminKey}x`]) {
    expect((await problem(await order('tiny/unload', {}, key))).code).toBe('unauthorized')
  }
  expect((await problem(await order('dogs/load'))).code).toBe('model_not_found')
  expect((await problem(await order('tiny/load', { version: '9' }))).code).toBe('model_not_found')
  expect((await problem(await order('tiny/load', { versions: '1' }))).code).toBe('invalid_request')
  expect(await states('tiny')).toMatchObject({ '3': 'ready', '1': 'ready' })
})

test('the waiting jobs of an unloaded model stay queued and run when it is loaded again', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, async () => submit('tiny', '(block 800)')))
  const pinned = await submit('tiny@1', '(block 800)')
  await until(async () => (await read(system.url, ids[0] ?? '')).status !== 'queued', 'the first runs')
  expect((await order('tiny/unload')).status).toBe(202)
  await expect.poll(async () => (await shown('tiny'))?.status, eventually).toBe('unloaded')
  expect((await problem(await post('tiny'))).code).toBe('model_unavailable')
  await until(async () => {
    const jobs = await Promise.all([...ids, pinned].map(async (id) => read(system.url, id)))
    return jobs.every(({ status }) => status !== 'running')
  }, 'what ran is done')
  const jobs = await Promise.all([...ids, pinned].map(async (id) => read(system.url, id)))
  expect(new Set(jobs.map(({ status }) => status))).toEqual(new Set(['succeeded', 'queued']))
  expect((await order('tiny/load')).status).toBe(202)
  const finals = await Promise.all([...ids, pinned].map(async (id) => final(system.url, id)))
  expect(new Set(finals.map(({ status }) => status))).toEqual(new Set(['succeeded']))
  expect(finals.at(-1)?.version).toBe('1')
})

test('one version is loaded and unloaded beside the others', async () => {
  await expect.poll(() => states('tiny'), eventually).toEqual({ '3': 'ready', '2': 'unloaded', '1': 'ready' })
  expect((await problem(await post('tiny@2'))).code).toBe('model_unavailable')
  await order('tiny/load', { version: '2' })
  await expect.poll(() => states('tiny'), eventually).toMatchObject({ '2': 'ready' })
  expect(answerOf(await run('tiny@2'))).toBe('word of 2')
  await order('tiny/unload', { version: '2' })
  await expect.poll(() => states('tiny'), eventually).toMatchObject({ '2': 'unloaded' })
})

test('a version that leaves the repository leaves the list, and a model without any does', async () => {
  await rename(join(repository, 'tiny', '2'), join(repository, '.gone'))
  await expect.poll(() => states('tiny'), eventually).toEqual({ '3': 'ready', '1': 'ready' })
  await rm(join(repository, 'staged'), { recursive: true })
  await expect.poll(() => shown('staged'), eventually).toBeUndefined()
})
