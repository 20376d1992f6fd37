import type { FromEngine } from '@vision-queue/engine/messages'

import { type Engine, newEngine } from '../src/engine.ts'
import type { PoolJob } from '../src/pool-job.ts'
import { newPool, type Pool, type PoolSettings } from '../src/pool.ts'
import { requestOf } from './unruly-pool.ts'

/** A job as a pool holds it. */
export function aJob(id: string, changes: Partial<PoolJob> = {}): PoolJob {
  return { job: requestOf(id), callerId: id, settled: false, suspect: false, deaths: 0, ...changes }
}

/** A pool whose engines are up; none has a process. */
export function aPool(settings: Partial<PoolSettings> = {}): Pool & { engines: [Engine, ...Engine[]] } {
  const limits = { runTimeoutMs: 1000, loadTimeoutMs: 5000, longestPauseMs: 10_000, memoryLimitBytes: 0, deviceIds: [] }
  const pool = newPool({ name: 'unruly', version: '1', engines: 1, ...limits, ...settings })
  const first: Engine = { ...newEngine(0), state: 'up' }
  const others = Array.from({ length: pool.settings.engines - 1 }, (_, index): Engine => {
    return { ...newEngine(index + 1), state: 'up' }
  })
  return { ...pool, engines: [first, ...others], manifest: aManifest }
}

export const aManifest = {
  name: 'unruly',
  version: '1',
  task: 'echo',
  variant: 'fp32',
  provider: 'cpu',
  maxBatchSize: 4,
  labels: null,
  inputSchema: {},
  parametersSchema: {},
  outputSchema: {},
}

/** An engine's answers to jobs, good ones. */
export function answersOf(ids: readonly string[], changes: Partial<Answers> = {}): Answers {
  const value = { output: {}, preprocessMs: 1, inferenceMs: 1, batchSize: 1 }
  return {
    kind: 'answers',
    answers: ids.map((id) => ({ kind: 'value', id, ...value })),
    runs: [],
    launches: [],
    launched: [],
    cpuSeconds: 0,
    batchLimit: 4,
    cost: null,
    residentBytes: 0,
    generation: null,
    ...changes,
  }
}

type Answers = Extract<FromEngine, { kind: 'answers' }>
