import type { FromEngine } from '@vision-queue/engine/messages'
import { executionOptionsSchema } from '@vision-queue/models'
import { jobFields } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'

import { type Engine, newEngine } from './engine.ts'
import type { EngineEvent, Moment } from './engine-event.ts'
import { fillsItsLimit } from './engine-memory.ts'
import { describeTrouble } from './engine-trouble.ts'
import { endQuarantine, judgeDeath, takeBack } from './job-assignment.ts'
import type { Action } from './pool-action.ts'
import { giveUp } from './pool-closing.ts'
import { failJob, handBack, handBackQueue, handOutJobs } from './pool-jobs.ts'
import { logLine, type Pool, type PoolSettings } from './pool.ts'

type Ready = Extract<FromEngine, { kind: 'ready' }>
type Gone = Extract<EngineEvent, { kind: 'gone' }>

const shortestPauseMs = 100
const steadyAfterMs = 30_000

/** A first process for a new engine of the pool. */
export function addEngine(pool: Pool, now: Moment): Action[] {
  const engine = newEngine(pool.engines.length)
  pool.engines.push(engine)
  return startEngine(engine, now)
}

/** A process for an engine that has none. */
export function startEngine(engine: Engine, now: Moment): Action[] {
  engine.state = 'loading'
  engine.since = now.ms
  engine.killedFor = null
  engine.loading = null
  engine.refusal = null
  return [{ kind: 'start', engine }]
}

/** Another process for an engine that had one. */
export function restartEngine(engine: Engine, now: Moment): Action[] {
  engine.restarts += 1
  return startEngine(engine, now)
}

/** An engine has loaded its model. The first one decides the variant; then the others are started. */
export function onReady(pool: Pool, engine: Engine, ready: Ready, now: Moment): Action[] {
  const { manifest, residentBytes, cost, generation } = ready
  const { variant, provider } = manifest
  const { memoryLimitBytes } = pool.settings
  engine.state = 'up'
  engine.loading = null
  engine.since = now.ms
  engine.variant = variant
  engine.cost = cost
  engine.bytesAtRest = residentBytes
  engine.batchLimit = null
  engine.cpuSeconds = null
  engine.generation = generation
  engine.retiring = false
  engine.failure = null
  engine.failedStartsInARow = 0
  const actions: Action[] = [
    { kind: 'give-way', engine },
    { kind: 'open-blobs', engine },
  ]
  if (fillsItsLimit(pool.settings, residentBytes)) {
    const fields = { residentBytes, memoryLimitBytes }
    actions.push(logLine(pool, 'warn', 'the model alone takes the memory an engine may have', fields))
  }
  actions.push(logLine(pool, 'info', 'an engine is ready', { pid: engine.pid, variant, provider }))
  if (pool.manifest === null) actions.push(...noteFirstManifest(pool, manifest))
  actions.push({ kind: 'trouble-changed' })
  while (pool.closedBy === null && pool.engines.length < pool.settings.engines) actions.push(...addEngine(pool, now))
  return [...actions, { kind: 'ready', manifest: pool.manifest ?? manifest }, ...handOutJobs(pool, now)]
}

function noteFirstManifest(pool: Pool, manifest: Ready['manifest']): Action[] {
  pool.manifest = manifest
  // An engine that falls back later, such as for a file that is being replaced, would give other answers.
  const graph = manifest.choice?.graph
  if (graph !== undefined) pool.execution = executionOptionsSchema.parse({ ...pool.execution, variant: graph })
  // All engines are refused alike: said once.
  const { refusedProviders = [] } = manifest
  return refusedProviders.map((refusal) => logLine(pool, 'warn', 'an execution provider can not be used', refusal))
}

/** An engine's process has ended. It is started again after a pause that doubles with each death in a row. */
export function onGone(pool: Pool, engine: Engine, { exit, lastWords }: Gone, now: Moment): Action[] {
  engine.pid = undefined
  engine.cpuSecondsBefore += engine.cpuSeconds ?? 0
  engine.cpuSeconds = null
  engine.generation = null
  const { state, killedFor } = engine
  if (state === 'stopped') return []
  if (state === 'replaced') return restartEngine(engine, now)
  const wasUp = state === 'up'
  engine.deathsInARow = wasUp && now.ms - engine.since > steadyAfterMs ? 1 : engine.deathsInARow + 1
  engine.pauseMs = pauseAfter(engine.deathsInARow, pool.settings.longestPauseMs)
  engine.state = 'paused'
  engine.loading = null
  engine.since = now.ms
  return [
    logLine(pool, 'warn', 'an engine died', { exit, lastWords, wasUp, killedFor, pauseMs: engine.pauseMs }),
    ...(wasUp ? onDeath(pool, engine) : onFailedStart(pool, engine, exit, now)),
    ...handOutJobs(pool, now),
  ]
}

/** The pause before an engine is started again, after so many deaths in a row. */
export function pauseAfter(deathsInARow: number, longestPauseMs: number): number {
  return Math.min(longestPauseMs, shortestPauseMs * 2 ** (deathsInARow - 1))
}

/** An engine died that had been ready. */
function onDeath(pool: Pool, engine: Engine): Action[] {
  const { handed, launched, killedFor } = engine
  engine.retiring = false
  engine.handed = new Map()
  engine.launched = new Set()
  if (pool.closedBy !== null) return handBack(pool, handed.values())
  const verdict = judgeDeath({ handed, launched }, pool.queue.quarantine === engine.index)
  for (const job of [...verdict.suspects, ...verdict.innocent]) job.deaths += 1
  for (const job of verdict.suspects) job.suspect = true
  const { toBlame } = verdict
  if (toBlame === null) {
    pool.queue = takeBack(pool.queue, engine.index, verdict)
    return []
  }
  return [
    logLine(pool, 'warn', 'a job killed its engine', {
      ...jobFields({ id: toBlame.callerId, context: toBlame.context }),
      killedFor,
    }),
    ...failJob(pool, toBlame, new VisionQueueError('engine_crashed', describeDeath(killedFor, pool.settings))),
  ]
}

/** An engine ended before it was ready. */
function onFailedStart(pool: Pool, engine: Engine, exit: string, now: Moment): Action[] {
  const { refusal, pauseMs } = engine
  engine.failedStartsInARow += 1
  const tries = engine.failedStartsInARow
  const error =
    refusal?.error ?? new VisionQueueError('model_unavailable', describeFailedStart(engine, exit, pool.settings))
  engine.failure = { error, tries, retryAt: now.unixMs + pauseMs }
  pool.queue = endQuarantine(pool.queue, engine.index)
  // The files are at fault: the same files can't be loaded, however often it is tried.
  if (pool.manifest === null && refusal?.passing === false) {
    return pool.closedBy === null ? giveUp(pool, error) : []
  }
  const isLost = pool.manifest !== null && describeTrouble(pool.engines)?.lost === true
  return [
    logLine(pool, 'error', 'an engine can not load its model', { err: error, tries, retryInMs: pauseMs }),
    ...(isLost ? [...handBackQueue(pool), ...handBack(pool, pool.jobs.values())] : []),
    { kind: 'trouble-changed' },
  ]
}

function describeFailedStart({ killedFor }: Engine, exit: string, { loadTimeoutMs }: PoolSettings): string {
  return killedFor === 'silence'
    ? `The engine did not load its model within ${loadTimeoutMs} ms and was killed.`
    : `The engine ended while loading (${exit}).`
}

function describeDeath(killedFor: Engine['killedFor'], { runTimeoutMs }: PoolSettings): string {
  const detail = {
    died: 'The engine died while it ran this job alone.',
    silence: `The engine ran this job alone and did not finish within ${runTimeoutMs} ms.`,
    memory: 'The engine ran this job alone and took more memory than it may have.',
  }
  return detail[killedFor ?? 'died']
}
