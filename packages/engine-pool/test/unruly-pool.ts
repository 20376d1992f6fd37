import { fileURLToPath } from 'node:url'

import { startEngine } from '@vision-queue/engine/parts'

import { createEnginePool } from '../src/engine-pool.ts'
import type { EnginePool, EnginePoolOptions, InferenceRequest } from '../src/inference.ts'
import { createInProcessEnginePool, type RunEngine } from '../src/in-process.ts'
import { loadUnrulyModel } from './unruly-model.ts'

export const quiet = { info() {}, warn() {}, error() {} }

const open: EnginePool[] = []

/** A pool of unruly engines (see unruly-engine.ts). */
export function openUnrulyPool(options: Partial<EnginePoolOptions> = {}): EnginePool {
  const pool = createEnginePool({
    modelFolder: '/nowhere',
    name: 'unruly',
    version: '1',
    engines: 1,
    intraOpThreads: 1,
    runTimeoutMs: 60_000,
    engineEntry: fileURLToPath(new URL('unruly-engine.ts', import.meta.url)),
    log: quiet,
    ...options,
  })
  open.push(pool)
  return pool
}

/** The same with the engine in this process. */
export function openHere(options: Pick<EnginePoolOptions, 'blobs'> = {}): EnginePool {
  const runEngine: RunEngine = async ({ options: engineOptions, channel, exit }) =>
    startEngine({ channel, options: engineOptions, exit, loadModel: async () => loadUnrulyModel(engineOptions) })
  const model = { modelFolder: '/nowhere', name: 'unruly', version: '1', intraOpThreads: 1 }
  const pool = createInProcessEnginePool({ ...model, runEngine, log: quiet, ...options })
  open.push(pool)
  return pool
}

/** To be called after each test, so that none leaves a process behind. */
export async function closeUnrulyPools(): Promise<void> {
  await Promise.all(open.splice(0).map(async (pool) => pool.close({ deadlineMs: 0 })))
}

/** Resolves to the answer to one question. */
export async function ask(
  pool: EnginePool,
  question: string,
  extras: Partial<InferenceRequest> = {},
): Promise<unknown> {
  const result = await pool.run({ ...requestOf('job', question), ...extras })
  return result.output['answer']
}

/** A job with one question. */
export function requestOf(id: string, question = id, image: Uint8Array = Uint8Array.from([1, 2, 3])): InferenceRequest {
  return { id, images: [image], input: { question }, parameters: {}, deadlineAt: null }
}

/** Resolves to each question's answer, or the code or name of its error. */
export async function askAll(pool: EnginePool, questions: string[]): Promise<unknown[]> {
  const results = await Promise.allSettled(questions.map(async (question) => ask(pool, question)))
  return results.map((result) => (result.status === 'fulfilled' ? result.value : errorName(result.reason)))
}

function errorName(error: unknown): string {
  if (!(error instanceof Error)) return 'no error'
  return 'code' in error ? String(error.code) : error.name
}
