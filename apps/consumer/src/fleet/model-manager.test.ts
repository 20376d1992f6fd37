// oxlint-disable max-lines -- because these tests are the black box of the whole fleet
import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { AnnouncedModel } from '@vision-queue/queue'
import type { VariantDecision } from '@vision-queue/protocol'
import { createEnginePool, type EnginePool, type InferenceResult } from '@vision-queue/engine-pool'
import { tinyLabels, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import type { StandingOrder } from '@vision-queue/queue/worker'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { type JobHandling, type ModelManager, startModelManager } from './model-manager.ts'
import { parseModelPolicy } from './model-policy.ts'

const log = pino({ level: 'silent' })
/** A gray picture of one pixel. */
const image = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
)

let repository: string
let manager: ModelManager | undefined
let orders: Record<string, StandingOrder>
let queues: Set<string>
let forgotten: string[]
let opened: string[]
let pinnedJobs: Record<string, number>
let handling: JobHandling | undefined
/** What the fleet runs. */
let decided: VariantDecision | null

beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-models-'))
  orders = {}
  queues = new Set()
  forgotten = []
  opened = []
  pinnedJobs = {}
  decided = null
})
afterEach(async () => {
  await manager?.close(1000)
  await rm(repository, { recursive: true })
})

function start(models = ''): void {
  manager = startModelManager({
    repository,
    policy: parseModelPolicy(models),
    pollMs: 50,
    readOrders: async () => ({
      of: (name, version) => orders[`${name}@${version}`] ?? { wanted: 'configured', at: 0, reloadAt: 0 },
    }),
    openPool({ name, version, folder }, { variant, onTrouble }): EnginePool {
      opened.push(`${name}@${version}`)
      const each = { engines: 1, intraOpThreads: 1, runTimeoutMs: 60_000, onTrouble }
      const execution = variant === null ? {} : { variant }
      return createEnginePool({ name, version, modelFolder: folder, ...each, execution, log })
    },
    decideVariant: async () => (decided === null ? null : { decision: decided, obstacle: null }),
    openSource(model, pinnedTo, itsHandling) {
      const queue = pinnedTo === null ? model : `${model}@${pinnedTo}`
      queues.add(queue)
      handling = itsHandling
      const leave = (): void => void queues.delete(queue)
      return { close: async () => leave(), abandon: leave }
    },
    forget: async (name, version) => {
      forgotten.push(`${name}@${version}`)
      return true
    },
    countPinned: async (name, version) => pinnedJobs[`${name}@${version}`] ?? 0,
    drainMs: 60_000,
    countWaiting: async () => 0,
    loads: { atOnce: 9, first: [] },
    lingerMs: 50,
    onChange() {},
    log,
  })
}

/** A model whose answers name its version. */
async function write(name: string, version: string): Promise<void> {
  const id2label = Object.fromEntries(tinyLabels.map((label, index) => [String(index), `${label} of ${version}`]))
  await writeTinyModel(join(repository, name, version), { 'config.json': { id2label } })
}

async function writeBad(name: string, version: string): Promise<void> {
  await writeTinyModel(join(repository, name, version), { 'model.json': { task: 'mind-reading' } })
}

function announced(): AnnouncedModel[] {
  return manager?.describe().models ?? []
}

/** Versions by what they are; `*` marks the one that serves. */
function states(): Record<string, string> {
  return Object.fromEntries(
    announced().map(({ name, version, status, serving }) => [`${name}@${version}`, serving ? `${status} *` : status]),
  )
}

/** A job that is pinned to the version or, with null, one that names none and was routed to `routed`. */
async function run(
  version: string | null,
  routed = 'one that is gone',
): Promise<{ version: string; result: InferenceResult } | null> {
  const chosen = handling?.choosePool({ modelVersion: version ?? routed, versionPinned: version !== null })
  if (chosen === null || chosen === undefined) return null
  const request = { id: 'x', images: [image], input: { question: 'large' }, parameters: {}, deadlineAt: null }
  return { version: chosen.manifest.version, result: await chosen.run(request) }
}

const eventually = { timeout: 20_000, interval: 20 }

test('versions run side by side: a pinned job on its own, others on the highest', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start('a@*')
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect(queues).toEqual(new Set(['a', 'a@1', 'a@2']))
  const [any, one, three] = [await run(null), await run('1'), await run('3')]
  expect(any?.version).toBe('2')
  expect(JSON.stringify(any?.result.output)).toContain('word of 2')
  expect(one?.version).toBe('1')
  expect(JSON.stringify(one?.result.output)).toContain('word of 1')
  expect(three).toBeNull()
})

test('a job that is not pinned runs on the version it was routed to while that is loaded, else on the one that serves', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start('a@*')
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect([(await run(null, '1'))?.version, (await run(null, '2'))?.version]).toEqual(['1', '2'])
  orders['a@1'] = { wanted: 'unloaded', at: 1, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  expect((await run(null, '1'))?.version).toBe('2')
  expect(await run('1')).toBeNull()
})

test('a bad folder is reported with its sentence, the others serve, and it is tried again when it changes', async () => {
  await write('a', '1')
  await writeBad('a', '2')
  await writeBad('b', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *', 'a@2': 'failed', 'b@1': 'failed' })
  expect(announced().find(({ name }) => name === 'b')?.error).toContain('mind-reading')
  expect(queues).toEqual(new Set(['a', 'a@1']))
  await write('b', '1')
  await expect.poll(states, eventually).toMatchObject({ 'b@1': 'ready *' })
  expect(announced().find(({ name }) => name === 'b')?.error).toBeNull()
})

test('with nothing but bad folders, or none, it stays up and serves the first good one', async () => {
  start()
  expect(states()).toEqual({})
  await writeBad('a', '1')
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(queues).toEqual(new Set())
  await write('a', '2')
  await expect.poll(states, eventually).toMatchObject({ 'a@2': 'ready *' })
})

test('a new version takes over once it is warm; jobs taken before finish on the old one, and no job fails', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  const ran = new Map<string, number>()
  const over = new AbortController()
  const clients = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const done = await run(null)
      if (done === null) throw new Error('Nothing served')
      expect(JSON.stringify(done.result.output)).toContain(`word of ${done.version}`)
      ran.set(done.version, (ran.get(done.version) ?? 0) + 1)
    }
  })
  // Beside it first, then in one step, as well as file by file.
  await write('.staged', '2')
  await rename(join(repository, '.staged', '2'), join(repository, 'a', '2'))
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  const before = ran.get('2') ?? 0
  await expect.poll(() => ran.get('2') ?? 0, eventually).toBeGreaterThan(before)
  orders['a@2'] = { wanted: 'configured', at: 0, reloadAt: Date.now() }
  await expect.poll(() => opened, eventually).toEqual(['a@1', 'a@2', 'a@2'])
  // The old engines are gone once the new ones are warm, and it never stopped serving.
  await expect.poll(() => manager?.describe().engines, eventually).toBe(1)
  over.abort()
  await Promise.all(clients)
  expect(ran.get('1')).toBeGreaterThan(0)
})

test('files that fail to take over leave what was loaded serving, with the reason beside it', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  await writeFile(join(repository, 'a', '1', 'onnx', 'model.onnx'), 'no graph')
  await expect.poll(() => announced()[0]?.error, eventually).toContain('model.onnx')
  expect(states()).toEqual({ 'a@1': 'ready *' })
  expect((await run(null))?.version).toBe('1')
})

test('orders load, unload and load again; unloading the newest goes back to the one before', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start()
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  orders['a@2'] = { wanted: 'unloaded', at: 1, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'unloaded', 'a@1': 'ready *' })
  orders['a@1'] = { wanted: 'unloaded', at: 2, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'unloaded', 'a@1': 'unloaded' })
  expect(queues).toEqual(new Set())
  expect(await run(null)).toBeNull()
  orders = { 'a@1': { wanted: 'loaded', at: 3, reloadAt: 0 }, 'a@2': { wanted: 'configured', at: 3, reloadAt: 0 } }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
})

test('a version that leaves the repository is dropped and forgotten; an unreadable repository is no reason to', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  await writeFile(join(repository, 'a', 'aliases.json'), '{"stable":"1"}')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect(manager?.describe().aliases).toEqual({ a: { stable: '1' } })
  await rm(join(repository, 'a', '2'), { recursive: true })
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  await expect.poll(() => forgotten, eventually).toEqual(['a@2'])
  const away = `${repository}-away`
  await rename(repository, away)
  await new Promise((resolve) => {
    setTimeout(resolve, 300)
  })
  expect(states()).toEqual({ 'a@1': 'ready *' })
  await cp(away, repository, { recursive: true })
  await rm(away, { recursive: true })
})

test('a replaced version stays for the jobs pinned to it, also those from before the start, and takes no others', async () => {
  await write('a', '1')
  await write('a', '2')
  pinnedJobs['a@1'] = 1
  start()
  await expect.poll(() => queues, eventually).toEqual(new Set(['a', 'a@1', 'a@2']))
  expect(states()).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  expect((await run('1'))?.version).toBe('1')
  await write('a', '3')
  pinnedJobs = { 'a@2': 1 }
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'unloaded', 'a@1': 'unloaded' })
  await expect.poll(() => queues, eventually).toEqual(new Set(['a', 'a@2', 'a@3']))
  expect((await run('2'))?.version).toBe('2')
  pinnedJobs = {}
  await expect.poll(() => queues, eventually).toEqual(new Set(['a', 'a@3']))
  expect(await run('2')).toBeNull()
})

test('an alias that is pointed elsewhere follows when its new version is ready', async () => {
  await Promise.all(['1', '2', '3'].map(async (version) => write('a', version)))
  const point = async (version: string): Promise<void> =>
    writeFile(join(repository, 'a', 'aliases.json'), JSON.stringify({ stable: version }))
  await point('1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'unloaded', 'a@1': 'ready' })
  const seen: string[] = []
  await point('2')
  await expect
    .poll(() => {
      const target = manager?.describe().aliases['a']?.['stable'] ?? ''
      seen.push(`${target} ${states()[`a@${target}`]}`)
      return target
    }, eventually)
    .toBe('2')
  expect(new Set(seen)).toEqual(new Set(['1 ready', '2 ready']))
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'ready', 'a@1': 'unloaded' })
})

test('a selected version that is not there is reported with what is, and loaded when it comes', async () => {
  await write('a', '1')
  start('a@9')
  await expect.poll(states, eventually).toEqual({ 'a@9': 'failed', 'a@1': 'unloaded' })
  expect(announced()[0]?.error).toBe('a has no version 9; it has: 1.')
  await write('a', '9')
  await expect.poll(states, eventually).toEqual({ 'a@9': 'ready *', 'a@1': 'unloaded' })
})

test('a consumer that would run another variant than the fleet follows it, at the start and later', async () => {
  await write('a', '1')
  // The same graph: it is the choice that is looked at.
  await cp(join(repository, 'a', '1', 'onnx', 'model.onnx'), join(repository, 'a', '1', 'onnx', 'model_int8.onnx'))
  await cp(join(repository, 'a', '1', 'onnx', 'model.onnx'), join(repository, 'a', '1', 'onnx', 'model_fp16.onnx'))
  decided = { graph: 'fp16', reason: 'the provider is no CPU', at: 1 }
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  expect(announced()[0]?.manifest).toMatchObject({ variant: 'fp16', choice: { ...decided, basis: 'fleet' } })
  expect(opened).toHaveLength(2)
  // Redis had lost it, and another consumer was first.
  decided = { graph: 'fp32', reason: 'the CPU has no instructions for int8', at: 2 }
  await expect.poll(() => announced()[0]?.manifest?.variant, eventually).toBe('fp32')
  expect(states()).toEqual({ 'a@1': 'ready *' })
  await expect.poll(() => manager?.describe().engines, eventually).toBe(1)
})

test('a consumer that can not follow the fleet says so and does not serve', async () => {
  await write('a', '1')
  decided = { graph: 'fp16', reason: 'the provider is no CPU', at: 1_750_000_000_000 }
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(announced()[0]?.error).toBe(
    'The fleet runs the fp16 variant of these files since 2025-06-15T15:06:40.000Z (the provider is no CPU), ' +
      "which this consumer can't: There is no fp16 variant; there are: fp32.",
  )
  expect(queues).toEqual(new Set())
})

test('one that serves, and can not follow what the fleet has decided since, stops serving', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  decided = { graph: 'int8', reason: 'the CPU has avx512_vnni', at: 1 }
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(queues).toEqual(new Set())
})
