import { type ExecutionOptions, executionOptionsSchema } from '@vision-queue/models'
import type { ModelManifest } from '@vision-queue/protocol'

import type { Engine } from './engine.ts'
import type { EnginePoolOptions } from './inference.ts'
import type { JobQueue } from './job-assignment.ts'
import type { Action } from './pool-action.ts'
import { type CapacityFigures, newCapacityFigures } from './pool-capacity.ts'
import { newPoolFigures, type PoolFigures } from './pool-figures.ts'
import type { PoolJob } from './pool-job.ts'

/** What a pool was opened with, as far as its rules need it; see EnginePoolOptions. Infinity: no limit. */
export interface PoolSettings {
  name: string
  version: string
  engines: number
  /** The devices that they are placed on in turn; none: the one that `execution` names. */
  deviceIds: readonly number[]
  runTimeoutMs: number
  loadTimeoutMs: number
  longestPauseMs: number
  /** 0: no limit. */
  memoryLimitBytes: number
}

/** All that a pool knows. Plain data: `reduce` and the functions of pool-jobs.ts and pool-closing.ts change it. */
export interface Pool {
  readonly settings: PoolSettings
  /** One at first: it chooses the variant, and the others come when it is ready. */
  readonly engines: Engine[]
  /** Jobs without an answer, by the pool's id. */
  readonly jobs: Map<string, PoolJob>
  /** Jobs that came so far. */
  entries: number
  /** Jobs that no engine has. */
  queue: JobQueue
  /** Of the engine that was ready first. */
  manifest: ModelManifest | null
  /** How engines that start from now on run the model. */
  execution: ExecutionOptions
  /** Why no job is taken any more. */
  closedBy: Error | null
  readonly figures: PoolFigures
  readonly capacity: CapacityFigures
}

/** A pool without engines and jobs. */
export function newPool(settings: PoolSettings, execution: EnginePoolOptions['execution'] = {}): Pool {
  return {
    settings,
    engines: [],
    jobs: new Map(),
    entries: 0,
    queue: { waiting: [], suspects: [], quarantine: null },
    manifest: null,
    execution: executionOptionsSchema.parse(execution),
    closedBy: null,
    figures: newPoolFigures(),
    capacity: newCapacityFigures(),
  }
}

/** A line for the log, with the model's name and version. */
export function logLine(
  { settings: { name, version } }: Pool,
  level: 'info' | 'warn' | 'error',
  message: string,
  fields: object,
): Action {
  return { kind: 'log', level, fields: { model: name, version, ...fields }, message }
}
