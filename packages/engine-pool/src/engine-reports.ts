import type { EngineText, FromEngine } from '@vision-queue/engine/messages'

import { type Engine, takesJobs } from './engine.ts'
import type { Moment } from './engine-event.ts'
import { mustRetire } from './engine-memory.ts'
import type { Action } from './pool-action.ts'
import { observeAnswers } from './pool-capacity.ts'
import { countGeneration, countLaunches, countRuns } from './pool-figures.ts'
import { answerJob, handOutJobs } from './pool-jobs.ts'
import { logLine, type Pool } from './pool.ts'

type Answers = Extract<FromEngine, { kind: 'answers' }>

/** These jobs run now. */
export function onLaunch({ launched, handed }: Engine, ids: readonly string[]): Action[] {
  for (const id of ids) launched.add(id)
  return [{ kind: 'launched', callerIds: ids.flatMap((id) => handed.get(id)?.callerId ?? []) }]
}

/** Pieces of text for those who wait. */
export function onTokens({ handed }: Engine, tokens: readonly EngineText[]): Action[] {
  return tokens.flatMap(({ id, ...piece }) => {
    const job = handed.get(id)
    return job?.settled === false ? [{ kind: 'text', job, piece }] : []
  })
}

/** An engine has answered jobs, and may have launched the next batch. */
export function onAnswers(pool: Pool, engine: Engine, message: Answers, now: Moment): Action[] {
  const { answers, runs, launches, launched, batchLimit, cost, cpuSeconds, residentBytes, generation } = message
  if (answers.some(({ kind }) => kind === 'value')) engine.deathsInARow = 0
  const cpuMs = engine.cpuSeconds === null ? null : (cpuSeconds - engine.cpuSeconds) * 1000
  const busy = havePlenty(pool) && engine.handed.size > answers.length
  observeAnswers(pool.capacity, { answered: answers.length, batches: runs.length, cpuMs, busy }, now.ms)
  countRuns(pool.figures, runs)
  countLaunches(pool.figures, launches)
  countGeneration(pool.figures, engine.generation, generation)
  engine.generation = generation
  const actions = answers.flatMap((answer) => {
    const job = engine.handed.get(answer.id)
    engine.handed.delete(answer.id)
    engine.launched.delete(answer.id)
    return job === undefined ? [] : answerJob(pool, job, answer, engine.variant)
  })
  if (batchLimit < (engine.batchLimit ?? pool.manifest?.maxBatchSize ?? batchLimit)) {
    actions.push(logLine(pool, 'warn', 'out of memory; batches are smaller now', { batchLimit }))
  }
  engine.batchLimit = batchLimit
  engine.cost = cost
  engine.cpuSeconds = cpuSeconds
  engine.memoryKnownAt = now.ms
  if (launched.length > 0) actions.push(...onLaunch(engine, launched))
  return [...actions, ...retire(pool, engine, residentBytes, now), ...handOutJobs(pool, now)]
}

/** Over its memory limit an engine gets no more jobs, answers what it has, and a new process takes its place. */
function retire(pool: Pool, engine: Engine, residentBytes: number, now: Moment): Action[] {
  const actions: Action[] = []
  if (!engine.retiring && mustRetire(pool, engine, residentBytes)) {
    const fields = { pid: engine.pid, residentBytes, memoryLimitBytes: pool.settings.memoryLimitBytes }
    actions.push(logLine(pool, 'warn', 'an engine holds too much memory; it is replaced', fields))
    actions.push({ kind: 'send', engine, message: { kind: 'drain' } })
    engine.retiring = true
  }
  if (!engine.retiring || engine.handed.size > 0 || engine.state !== 'up') return actions
  engine.state = 'replaced'
  engine.since = now.ms
  return [...actions, { kind: 'kill', engine }]
}

/** Whether every engine has at least half a batch that is worth its latency, so that none waits for work. */
function havePlenty({ engines, settings, manifest }: Pool): boolean {
  return (
    engines.length === settings.engines &&
    engines.every((engine) => {
      const batchSize = engine.cost?.batchSize ?? manifest?.maxBatchSize ?? 1
      return takesJobs(engine) && engine.handed.size >= Math.ceil(batchSize / 2)
    })
  )
}
