import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, describe, expect, it, vi } from 'vitest'

import {
  HandedBackError,
  type EnginePool,
  type EnginePoolOptions,
  type InferenceRequest,
  type InferenceResult,
} from '../src/inference.ts'
import { writeFates } from './fates.ts'

/** What the suite needs of a pool that is to have the interface EnginePool. */
export interface ConformanceOptions {
  /** Opens a pool with one engine that runs the unruly model by one of these names, see unruly-model.ts. */
  open: (
    options: { name: 'unruly' | 'stepping' | 'unloadable' } & Pick<
      EnginePoolOptions,
      'modelFolder' | 'onLaunch' | 'onTrouble'
    >,
  ) => EnginePool
  /** A job with this question for it. */
  requestOf: (id: string, question: string) => InferenceRequest
  /** Where its engines are; default: processes or code of ours. */
  kind?: Kind
  /** The text that a job was answered with; default: the output's `answer`. */
  answerOf?: (output: InferenceResult['output']) => unknown
}

/**
 * What is not the same where the engine is a server elsewhere: it makes its batches itself, takes one job at a time from
 * the pools of this suite, costs no CPU time here, and its failures may pass.
 */
type Kind = 'ours' | 'elsewhere'

/** Tools of a test. */
interface Bench {
  kind: Kind
  open: (options?: Partial<Parameters<ConformanceOptions['open']>[0]>) => EnginePool
  run: (pool: EnginePool, question: string, extras?: Partial<InferenceRequest>) => Promise<InferenceResult>
  ask: (pool: EnginePool, question: string, extras?: Partial<InferenceRequest>) => Promise<unknown>
}

/** Holds an implementation of EnginePool to what the interface says. `name`: of the implementation. */
export function describeEnginePool(
  name: string,
  { open, requestOf, kind = 'ours', answerOf = (output) => output['answer'] }: ConformanceOptions,
): void {
  describe(`${name}: an engine pool`, () => {
    const pools: EnginePool[] = []
    const run: Bench['run'] = async (pool, question, extras) => pool.run({ ...requestOf('job', question), ...extras })
    const bench: Bench = {
      kind,
      open(options = {}) {
        const pool = open({ name: 'unruly', modelFolder: '/nowhere', ...options })
        pools.push(pool)
        return pool
      },
      run,
      ask: async (...asked) => answerOf((await run(...asked)).output),
    }
    afterEach(async () => {
      await Promise.all(pools.splice(0).map(async (pool) => pool.close({ deadlineMs: 0 })))
    })
    describeReadiness(bench)
    describeAnswers(bench)
    describeFailures(bench)
    describeCancelling(bench)
    describeTexts(bench)
    describeClosing(bench)
  })
}

function describeReadiness({ kind, open, ask }: Bench): void {
  it('is ready with the manifest of its model, and then has its engine up', async () => {
    const pool = open()
    expect(pool.enginesUp).toBe(0)
    const maxBatchSize = kind === 'ours' ? 4 : 1
    expect(await pool.ready).toMatchObject({ name: 'unruly', version: '1', maxBatchSize })
    expect([pool.engines, pool.enginesUp, pool.trouble, pool.inFlight]).toEqual([1, 1, null, 0])
  })

  it('rejects ready and every job if the model can not be loaded', async () => {
    const pool = open({ name: 'unloadable' })
    const waiting = ask(pool, 'good')
    await Promise.all([
      expect(pool.ready).rejects.toMatchObject({ code: 'model_unavailable' }),
      expect(waiting).rejects.toMatchObject({ code: 'model_unavailable' }),
    ])
    await expect(ask(pool, 'good')).rejects.toMatchObject({ code: 'model_unavailable' })
    expect(pool.stats().engineRestarts).toBe(0)
  })

  it('tries again to load a model for which memory was short, and tells of it meanwhile', async () => {
    const modelFolder = await mkdtemp(join(tmpdir(), 'conformance-'))
    writeFates(modelFolder, ['out of memory', 'out of memory'])
    const troubles: (string | undefined)[] = []
    const pool = open({ modelFolder, onTrouble: () => troubles.push(pool.trouble?.detail) })
    expect(await ask(pool, 'good')).toBe('good')
    expect(troubles).toEqual([expect.stringMatching(/./), expect.stringMatching(/./), undefined])
    expect(pool.stats().engineRestarts).toBe(2)
    await rm(modelFolder, { recursive: true })
  })
}

function describeAnswers({ kind, open, run, ask }: Bench): void {
  const batched = kind === 'ours' ? ', in batches' : ''
  it(`answers jobs that came before it was ready, each with its own answer${batched}`, async () => {
    const pool = open()
    const questions = Array.from({ length: 20 }, (_, index) => `good ${index}`)
    const asked = Promise.all(questions.map(async (question) => ask(pool, question)))
    expect(pool.inFlight).toBe(20)
    expect(await asked).toEqual(questions)
    expect(pool.inFlight).toBe(0)
    const { batches, jobs, inferenceMs, engineRestarts } = pool.stats()
    expect(jobs).toEqual({ succeeded: 20 })
    const sizes = Object.entries(batches).map(([size, count]) => ({ size: Number(size), count }))
    expect(sizes.reduce((sum, { size, count }) => sum + size * count, 0)).toBe(20)
    expect(sizes.some(({ size }) => size > 1)).toBe(kind === 'ours')
    expect(sizes.every(({ size }) => size <= 4)).toBe(true)
    expect(inferenceMs).toBeGreaterThan(0)
    expect(engineRestarts).toBe(0)
    expect(pool.cpuSeconds() > 0).toBe(kind === 'ours')
  })

  it('tells with an answer which graph gave it, in what batch, and how long it took', async () => {
    const { inferenceMs, ...result } = await run(open(), 'wait 30')
    expect(result).toMatchObject({
      variant: kind === 'ours' ? 'fp32' : 'remote',
      batchSize: 1,
      preprocessMs: expect.any(Number),
    })
    expect(inferenceMs).toBeGreaterThan(25)
  })

  it('tells the ids of a batch when it starts', async () => {
    const launched: string[] = []
    const pool = open({ onLaunch: (ids) => launched.push(...ids) })
    await ask(pool, 'good', { id: 'watched' })
    expect(launched).toEqual(['watched'])
  })

  it('answers both jobs if one id is asked for twice at a time', async () => {
    const pool = open()
    const twice = ['good 1', 'good 2'].map(async (question) => ask(pool, question, { id: 'same' }))
    expect(await Promise.all(twice)).toEqual(['good 1', 'good 2'])
  })
}

function describeFailures({ kind, open, ask }: Bench): void {
  it('fails only the job at fault, without the words of the inner error', async () => {
    const pool = open()
    const asked = await Promise.allSettled(['good 1', 'throw', 'good 2'].map(async (question) => ask(pool, question)))
    expect(asked).toEqual([
      { status: 'fulfilled', value: 'good 1' },
      {
        status: 'rejected',
        reason: expect.objectContaining({
          code: kind === 'ours' ? 'inference_failed' : 'model_unavailable',
          detail: expect.not.stringContaining('tensor'),
        }),
      },
      { status: 'fulfilled', value: 'good 2' },
    ])
    expect(pool.stats().jobs).toEqual({ succeeded: 2, failed: 1 })
  })

  it('ends a job whose deadline has passed, before it runs', async () => {
    const pool = open()
    await expect(ask(pool, 'good', { deadlineAt: Date.now() - 1 })).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(pool.stats()).toMatchObject({ batches: {}, jobs: { expired: 1 } })
  })
}

function describeCancelling({ open, ask }: Bench): void {
  it('drops a job that is aborted before its batch is launched', async () => {
    const launched: string[] = []
    const pool = open({ onLaunch: (ids) => launched.push(...ids) })
    await pool.ready
    const busy = ask(pool, 'wait 200', { id: 'busy' })
    await vi.waitFor(() => expect(launched).toEqual(['busy']))
    const controller = new AbortController()
    const dropped = ask(pool, 'good', { id: 'dropped', signal: controller.signal })
    controller.abort(new Error('not wanted any more'))
    await expect(dropped).rejects.toThrow('not wanted any more')
    await busy
    await ask(pool, 'good', { id: 'last' })
    expect(launched).toEqual(['busy', 'last'])
    expect(pool.stats().jobs).toEqual({ canceled: 1, succeeded: 2 })
  })

  it('does not take a job whose signal has been aborted already', async () => {
    const pool = open()
    await expect(ask(pool, 'good', { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
    expect(pool.inFlight).toBe(0)
  })

  it('rejects at once a job that runs already, and drops it between two steps', async () => {
    const pool = open({ name: 'stepping' })
    const controller = new AbortController()
    let pieces = 0
    const onTokens = (): void => {
      pieces += 1
      if (pieces === 2) controller.abort(new Error('not wanted any more'))
    }
    const dropped = ask(pool, '100000 steps', { signal: controller.signal, onTokens })
    await expect(dropped).rejects.toThrow('not wanted any more')
    expect(await ask(pool, '2 steps')).toBe('2 steps')
    expect(pieces).toBe(2)
    expect(pool.stats().jobs).toEqual({ canceled: 1, succeeded: 1 })
  })
}

function describeTexts({ open, ask }: Bench): void {
  it('tells the text as it comes, in order, to those who asked for it, before the answer', async () => {
    const pool = open({ name: 'stepping' })
    const heard: string[] = []
    const streaming = ask(pool, '4 steps', { onTokens: ({ text, index }) => heard.push(`${index}:${text}`) })
    const heardBefore = streaming.then(() => [...heard])
    expect(await Promise.all([streaming, ask(pool, '6 steps'), heardBefore])).toEqual([
      '4 steps',
      '6 steps',
      ['0:1', '1:2', '2:3', '3:4'],
    ])
  })
}

function describeClosing({ kind, open, ask }: Bench): void {
  it('hands back what no engine has when it closes, lets the rest finish, and takes no more', async () => {
    const pool = open()
    await pool.ready
    const asked = Promise.allSettled(Array.from({ length: 12 }, async () => ask(pool, 'wait 50')))
    await vi.waitFor(() => expect(pool.inFlight).toBe(12))
    await pool.close({ deadlineMs: 30_000 })
    const results = await asked
    // Two batches' worth, of which one runs and one is prepared, and a job for the time in which it runs.
    const kept = kind === 'ours' ? 9 : 1
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(kept)
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(reasons.filter((reason) => reason instanceof HandedBackError)).toHaveLength(12 - kept)
    await expect(ask(pool, 'good')).rejects.toBeInstanceOf(HandedBackError)
    expect([pool.inFlight, pool.enginesUp]).toEqual([0, 0])
  })

  it('hands back what is not done by the earliest deadline of its closings', async () => {
    const launched: string[] = []
    const pool = open({ name: 'stepping', onLaunch: (ids) => launched.push(...ids) })
    await pool.ready
    const asked = ask(pool, '100000 steps').catch((error: unknown) => error)
    await vi.waitFor(() => expect(launched).not.toEqual([]))
    const patient = pool.close({ deadlineMs: 1_000_000 })
    await pool.close({ deadlineMs: 50 })
    await patient
    expect(await asked).toBeInstanceOf(HandedBackError)
    expect(pool.enginesUp).toBe(0)
  })

  it('rejects ready if it is closed before that', async () => {
    const pool = open()
    const asked = ask(pool, 'good').catch((error: unknown) => error)
    await pool.close({ deadlineMs: 10_000 })
    await expect(pool.ready).rejects.toBeInstanceOf(HandedBackError)
    expect(await asked).toBeInstanceOf(HandedBackError)
  })
}
