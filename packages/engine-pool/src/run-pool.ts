import { availableParallelism } from 'node:os'

import type { EngineOptions } from '@vision-queue/engine/messages'
import { createDeferred, type Deferred } from '@vision-queue/process'
import type { ModelManifest } from '@vision-queue/protocol'

import { createEngineHost } from './engine-host.ts'
import type { Moment } from './engine-event.ts'
import { addEngine } from './engine-life.ts'
import type { LaunchEngine } from './engine-process.ts'
import { describeTrouble } from './engine-trouble.ts'
import type { EnginePool, EnginePoolOptions, InferenceRequest, InferenceResult } from './inference.ts'
import type { Action } from './pool-action.ts'
import { closePool, stopEngines } from './pool-closing.ts'
import { engineCpuSeconds, poolStats } from './pool-figures.ts'
import { cancelJob, enterJob, handBack, handOutJobs } from './pool-jobs.ts'
import type { Pool } from './pool.ts'
import { reduce } from './reduce.ts'

export interface RunPoolOptions extends Pick<EnginePoolOptions, 'log' | 'onLaunch' | 'onTrouble' | 'blobs'> {
  /** Without engines. */
  pool: Pool
  launch: LaunchEngine
  /** Of the engine at this place of the pool; looked at for each process that is started. */
  engineOptions: (index: number) => EngineOptions
}

/** The executor: it lets the rules decide, and does what they say. */
interface Executor {
  /** In order, and what comes meanwhile after it. */
  perform: (actions: readonly Action[]) => void
  callers: Map<string, Caller>
  ready: Deferred<ModelManifest>
  /** Hands out no more and waits until the engines have answered or `hurry` was called; then ends them. */
  close: () => Promise<void>
  hurry: () => void
}

interface Caller extends Pick<InferenceRequest, 'onTokens'> {
  resolve: (result: InferenceResult) => void
  reject: (reason: unknown) => void
}

/** Starts a pool's first engine, and serves those who have jobs for it. */
export function runPool(options: RunPoolOptions): EnginePool {
  const { pool } = options
  const { perform, callers, ready, close, hurry } = createExecutor(options)
  let closed: Promise<void> | null = null
  perform(addEngine(pool, moment()))
  return {
    ready: ready.promise,
    async run({ signal, ...request }) {
      if (pool.closedBy !== null) throw pool.closedBy
      if (signal?.aborted === true) throw signal.reason
      const job = enterJob(pool, request)
      const { promise, resolve, reject } = createDeferred<InferenceResult>()
      callers.set(job.job.id, { resolve, reject, onTokens: request.onTokens })
      const onAbort = (): void => perform(cancelJob(pool, job, signal?.reason))
      signal?.addEventListener('abort', onAbort)
      perform(handOutJobs(pool, moment()))
      try {
        return await promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    engines: pool.settings.engines,
    get enginesUp() {
      return pool.engines.filter(({ state }) => state === 'up').length
    },
    get trouble() {
      return describeTrouble(pool.engines)
    },
    get loading() {
      return pool.engines.find(({ loading }) => loading !== null)?.loading ?? null
    },
    get inFlight() {
      return pool.jobs.size
    },
    get pids() {
      return pool.engines.flatMap(({ pid }) => pid ?? [])
    },
    stats: () => poolStats(pool, availableParallelism()),
    cpuSeconds: () => engineCpuSeconds(pool.engines),
    async close({ deadlineMs }) {
      closed ??= close()
      const timer = setTimeout(hurry, deadlineMs)
      await closed
      clearTimeout(timer)
    },
  }
}

function createExecutor({ pool, launch, engineOptions, blobs, log, onLaunch, onTrouble }: RunPoolOptions): Executor {
  const callers: Executor['callers'] = new Map()
  const ready = createDeferred<ModelManifest>()
  // A caller who only ever calls run() learns of it there.
  ready.promise.catch(() => {})
  const todo: Action[] = []
  let working = false
  let hurry = (): void => {}
  const host = createEngineHost({
    launch,
    engineOptions,
    blobs,
    settings: pool.settings,
    onEvent: (engine, event) => perform(reduce(pool, engine, event, moment())),
  })

  function perform(actions: readonly Action[]): void {
    todo.push(...actions)
    if (working) return
    working = true
    try {
      for (let action = todo.shift(); action !== undefined; action = todo.shift()) performOne(action)
    } finally {
      working = false
    }
    for (const engine of pool.engines) host.watch(engine)
    if (pool.jobs.size === 0) hurry()
  }

  function takeCaller(id: string): Caller | undefined {
    const caller = callers.get(id)
    callers.delete(id)
    return caller
  }

  function performOne(action: Action): void {
    switch (action.kind) {
      case 'resolve':
        return takeCaller(action.job.job.id)?.resolve(action.result)
      case 'reject':
        return takeCaller(action.job.job.id)?.reject(action.reason)
      case 'text':
        // One who has aborted at an earlier piece hears no more.
        return action.job.settled ? undefined : callers.get(action.job.job.id)?.onTokens?.(action.piece)
      case 'launched':
        return onLaunch?.(action.callerIds)
      case 'ready':
        return ready.resolve(action.manifest)
      case 'not-ready':
        return ready.reject(action.reason)
      case 'trouble-changed':
        return onTrouble?.()
      case 'log':
        return log[action.level](action.fields, action.message)
      case 'start':
      case 'send':
      case 'kill':
      case 'give-way':
      case 'open-blobs':
        return host.perform(action)
      default:
        return action satisfies never
    }
  }

  async function close(): Promise<void> {
    if (pool.closedBy === null) {
      perform(closePool(pool))
      if (pool.jobs.size > 0) {
        await new Promise<void>((resolve) => {
          hurry = resolve
        })
      }
      perform(stopEngines(pool))
    }
    await host.gone()
    perform(handBack(pool, pool.jobs.values()))
  }

  return { perform, callers, ready, close, hurry: () => hurry() }
}

function moment(): Moment {
  return { ms: performance.now(), unixMs: Date.now() }
}
