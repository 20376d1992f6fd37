import { type ModelManifest, noModelStats, VisionQueueError } from '@vision-queue/protocol'
import { type EnginePool, HandedBackError, type InferenceResult } from '@vision-queue/engine-pool'
import { createDeferred } from '@vision-queue/process'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import type { Desired, DesiredVersion } from './desired.ts'
import { createExecutor, type Executor, type ExecutorOptions } from './executor.ts'
import { parseModelPolicy } from './model-policy.ts'

/** A pool whose engines do what the test says. */
interface FakePool {
  pool: EnginePool
  becomeReady(): void
  refuse(detail: string): void
  trouble(lost: boolean | null): void
  answer(): void
  closed: boolean
}

const result: InferenceResult = {
  output: { answers: [] },
  variant: 'fp32',
  preprocessMs: 1,
  inferenceMs: 1,
  batchSize: 1,
}
const request = { id: 'x', images: [new Uint8Array()], input: {}, parameters: {}, deadlineAt: null }

let pools: FakePool[]
let queues: Set<string>
let executor: Executor

beforeEach(() => {
  vi.useFakeTimers()
  pools = []
  queues = new Set()
})
afterEach(() => vi.useRealTimers())

function start(options: Partial<ExecutorOptions> = {}): void {
  executor = createExecutor({
    openPool(location, { onTrouble }) {
      const one = fakePool(location.version, onTrouble)
      pools.push(one)
      return one.pool
    },
    decideVariant: async () => null,
    openSource(model, pinnedTo) {
      const name = pinnedTo === null ? model : `${model}@${pinnedTo}`
      queues.add(name)
      return { close: async () => void queues.delete(name), abandon: () => void queues.delete(name) }
    },
    forget: async () => true,
    drainMs: 1000,
    onChange() {},
    log: pino({ level: 'silent' }),
    ...options,
  })
}

function fakePool(version: string, onTrouble: () => void): FakePool {
  const ready = createDeferred<ModelManifest>()
  const runs: ReturnType<typeof createDeferred<InferenceResult>>[] = []
  let trouble: EnginePool['trouble'] = null
  const fake: FakePool = {
    becomeReady: () => ready.resolve(manifestOf(version)),
    refuse: (detail) => ready.reject(new VisionQueueError('model_unavailable', detail)),
    trouble(lost) {
      trouble = lost === null ? null : { detail: 'killed', retryAt: 1, lost }
      onTrouble()
    },
    answer: () => runs.shift()?.resolve(result),
    closed: false,
    pool: {
      ready: ready.promise,
      async run() {
        const one = createDeferred<InferenceResult>()
        runs.push(one)
        return one.promise
      },
      get inFlight() {
        return runs.length
      },
      pids: [],
      engines: 1,
      enginesUp: 1,
      loading: null,
      get trouble() {
        return trouble
      },
      stats: () => noModelStats,
      cpuSeconds: () => 2,
      async close() {
        fake.closed = true
        for (const one of runs) one.reject(new HandedBackError())
      },
    },
  }
  return fake
}

function manifestOf(version: string): ModelManifest {
  return {
    name: 'a',
    version,
    task: 'image-classification',
    variant: 'fp32',
    provider: 'cpu',
    maxBatchSize: 8,
    inputSchema: {},
    parametersSchema: {},
    outputSchema: {},
    labels: null,
  }
}

/** The latest of these versions is wanted; their files by version. */
function wanted(files: Record<string, string>): Desired {
  const selection = parseModelPolicy('a').of('a')
  if (selection === null) throw new Error('Not selected')
  const versions = Object.entries(files).map(([version, signature]): [string, DesiredVersion] => {
    const order = { wanted: 'configured', at: 0, reloadAt: 0 } as const
    return [version, { folder: `/models/a/${version}`, signature, settled: true, order }]
  })
  const model = { selection, versions: new Map(versions), aliases: {}, pinned: new Map<string, number>(), waiting: 0 }
  return {
    at: performance.now(),
    lingerMs: 5000,
    models: new Map([['a', model]]),
    loads: { atOnce: 9, first: [] },
    problems: [],
  }
}

/** Lets promises that are resolved be heard of. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0)
}

function run(): Promise<InferenceResult> | undefined {
  return executor.choosePool('a', { modelVersion: '1', versionPinned: false })?.run(request)
}

/** Files that run, and others that have just replaced them while a job was in flight. */
async function replaceWhileBusy(): Promise<{ job: Promise<InferenceResult> | undefined }> {
  start()
  executor.pursue(wanted({ 1: 'old' }))
  pools[0]?.becomeReady()
  await settle()
  const job = run()
  executor.pursue(wanted({ 1: 'new' }))
  pools[1]?.becomeReady()
  await settle()
  return { job }
}

test('a replaced pool is closed after its last job, and new jobs run on the one that replaced it', async () => {
  const { job } = await replaceWhileBusy()
  expect(pools.map(({ closed }) => closed)).toEqual([false, false])
  const next = run()
  expect(pools.map(({ pool }) => pool.inFlight)).toEqual([1, 1])
  pools[0]?.answer()
  await settle()
  expect(pools.map(({ closed }) => closed)).toEqual([true, false])
  pools[1]?.answer()
  await expect(Promise.all([job, next])).resolves.toEqual([result, result])
})

test('a replaced pool whose jobs take too long hands them back', async () => {
  const { job } = await replaceWhileBusy()
  const ended = job?.catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(999)
  expect(pools[0]?.closed).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(pools[0]?.closed).toBe(true)
  expect(await ended).toBeInstanceOf(HandedBackError)
})

test('the CPU time of a closed pool stays in the sum, once', async () => {
  const { job } = await replaceWhileBusy()
  expect(executor.pools.cpuSeconds()).toBe(4)
  pools[0]?.answer()
  await job
  await settle()
  expect([executor.pools.engines, executor.pools.cpuSeconds()]).toEqual([1, 4])
})

test('queues are left while all engines are lost, and taken from again when one is back', async () => {
  start()
  executor.pursue(wanted({ 1: 'files' }))
  expect(queues).toEqual(new Set())
  pools[0]?.becomeReady()
  await settle()
  expect(queues).toEqual(new Set(['a', 'a@1']))
  pools[0]?.trouble(true)
  await settle()
  expect([queues, run()]).toEqual([new Set(), undefined])
  pools[0]?.trouble(null)
  await settle()
  expect(queues).toEqual(new Set(['a', 'a@1']))
  expect(pools).toHaveLength(1)
})

test('a pool that can not even be opened is a version that failed, and others are served', async () => {
  start({
    openPool({ version }, { onTrouble }) {
      if (version === '2') throw new Error('no more processes')
      const one = fakePool(version, onTrouble)
      pools.push(one)
      return one.pool
    },
  })
  executor.pursue(wanted({ 1: 'files', 2: 'files' }))
  pools[0]?.becomeReady()
  await settle()
  expect(queues).toEqual(new Set(['a', 'a@1']))
  expect(executor.actual.models.get('a')?.versions.get('2')?.failure).not.toBeNull()
})

test('a load that is refused after its files have changed does not fail the new ones', async () => {
  start()
  executor.pursue(wanted({ 1: 'old' }))
  executor.pursue(wanted({ 1: 'new' }))
  pools[0]?.refuse('half a file')
  await settle()
  expect(executor.actual.models.get('a')?.versions.get('1')?.failure).toBeNull()
  pools[1]?.becomeReady()
  await settle()
  expect(queues).toEqual(new Set(['a', 'a@1']))
})

test('a version that has left the repository is forgotten a look later, and once', async () => {
  const forgotten: string[] = []
  start({
    async forget(name, version) {
      forgotten.push(`${name}@${version}`)
      return true
    },
  })
  for (const files of [{ 1: 'files', 2: 'files' }, { 1: 'files' }]) {
    executor.pursue(wanted(files))
    await settle()
  }
  expect(forgotten).toEqual([])
  for (let look = 0; look < 3; look += 1) {
    await vi.advanceTimersByTimeAsync(10)
    executor.pursue(wanted({ 1: 'files' }))
    await settle()
  }
  expect(forgotten).toEqual(['a@2'])
})

test('a version that jobs wait for is tried to be forgotten at each look', async () => {
  const forget = vi.fn<ExecutorOptions['forget']>().mockResolvedValueOnce(false).mockResolvedValue(true)
  start({ forget })
  for (const files of [{ 1: 'files', 2: 'files' }, { 1: 'files' }, { 1: 'files' }, { 1: 'files' }, { 1: 'files' }]) {
    await vi.advanceTimersByTimeAsync(10)
    executor.pursue(wanted(files))
    await settle()
  }
  expect(forget).toHaveBeenCalledTimes(2)
})

test('once it is stopped nothing is opened or closed any more', async () => {
  start()
  executor.pursue(wanted({ 1: 'files' }))
  executor.stop()
  pools[0]?.becomeReady()
  await settle()
  executor.pursue(wanted({ 1: 'files', 2: 'files' }))
  await settle()
  expect([pools.length, queues.size]).toEqual([1, 0])
})
