import { engineProtocol } from '@vision-queue/engine/messages'
import { describe, expect, it } from 'vitest'

import { aJob, aManifest, aPool, answersOf } from '../test/records.ts'
import type { Engine } from './engine.ts'
import { nextAlarm } from './engine-alarm.ts'
import type { EngineEvent } from './engine-event.ts'
import type { Action } from './pool-action.ts'
import { handOutJobs } from './pool-jobs.ts'
import type { Pool } from './pool.ts'
import { reduce } from './reduce.ts'

const at = (ms: number) => ({ ms, unixMs: 1_700_000_000_000 + ms })
const gone: EngineEvent = { kind: 'gone', exit: 'signal SIGKILL', lastWords: '' }
const ready: EngineEvent = {
  kind: 'ready',
  protocol: engineProtocol,
  manifest: aManifest,
  cost: null,
  residentBytes: 0,
  generation: null,
}

/** What is done besides logging, each in a few words. */
function inWords(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    const { kind } = action
    if (kind === 'send') {
      const { message, engine } = action
      const what = message.kind === 'jobs' ? message.jobs.map(({ id }) => id).join(' ') : message.kind
      return `send ${engine.index}: ${what}`
    }
    if (kind === 'start' || kind === 'kill') return `${kind} ${action.engine.index}`
    if (kind === 'resolve') return `resolve ${action.job.job.id}`
    if (kind !== 'reject') return []
    return `reject ${action.job.job.id}: ${action.reason instanceof Error ? action.reason.message : ''}`
  })
}

function wait(pool: Pool, ...ids: string[]): void {
  const jobs = ids.map((id) => aJob(id))
  for (const job of jobs) pool.jobs.set(job.job.id, job)
  pool.queue = { ...pool.queue, waiting: [...pool.queue.waiting, ...jobs] }
}

describe('a death', () => {
  it('gives what was not launched to others at once, and runs suspects one at a time when the engine is back', () => {
    const pool = aPool({ engines: 2 })
    const [first, second] = pool.engines
    wait(pool, 'a', 'b', 'c', 'd')
    expect(inWords(handOutJobs(pool, at(0)))).toEqual(['send 0: a c', 'send 1: b d'])
    reduce(pool, first, { kind: 'launch', ids: ['a'] }, at(1))
    expect(inWords(reduce(pool, first, gone, at(2)))).toEqual(['send 1: c'])
    expect([first.state, first.pauseMs, second?.handed.size]).toEqual(['paused', 100, 3])
    expect(inWords(reduce(pool, first, { kind: 'pause-over' }, at(102)))).toEqual(['start 0'])
    expect(inWords(reduce(pool, first, ready, at(500)))).toEqual(['send 0: a'])
    expect(first.restarts).toBe(1)
  })

  it.each([
    [null, 'The engine died while it ran this job alone.'],
    ['silence', 'The engine ran this job alone and did not finish within 1000 ms.'],
    ['memory', 'The engine ran this job alone and took more memory than it may have.'],
  ] as const)(
    'of an engine that ran one suspect alone is the fault of that job (killed for: %s)',
    (killedFor, detail) => {
      const pool = aPool()
      const suspect = aJob('a', { suspect: true })
      pool.jobs.set('a', suspect)
      pool.queue = { waiting: [], suspects: [suspect], quarantine: null }
      expect(inWords(handOutJobs(pool, at(0)))).toEqual(['send 0: a'])
      pool.engines[0].killedFor = killedFor
      expect(inWords(reduce(pool, pool.engines[0], gone, at(1)))).toEqual([`reject a: engine_crashed: ${detail}`])
      expect([pool.figures.jobs, pool.jobs.size]).toEqual([{ failed: 1 }, 0])
    },
  )

  it('keeps the CPU time of the dead', () => {
    const pool = aPool()
    reduce(pool, pool.engines[0], answersOf([], { cpuSeconds: 3 }), at(0))
    reduce(pool, pool.engines[0], gone, at(1))
    expect([pool.engines[0].cpuSecondsBefore, pool.engines[0].cpuSeconds]).toEqual([3, null])
  })

  it.each([
    [{ deathsInARow: 0, upForMs: 10 }, 100],
    [{ deathsInARow: 3, upForMs: 10 }, 800],
    [{ deathsInARow: 20, upForMs: 10 }, 10_000],
    [{ deathsInARow: 20, upForMs: 30_001 }, 100],
  ])('is followed by a pause: after %j of %d ms', ({ deathsInARow, upForMs }, pauseMs) => {
    const pool = aPool()
    pool.engines[0].deathsInARow = deathsInARow
    reduce(pool, pool.engines[0], gone, at(upForMs))
    expect(nextAlarm(pool.engines[0], pool.settings)).toEqual({ at: upForMs + pauseMs, kind: 'pause-over' })
  })

  it('counts anew after an answer', () => {
    const pool = aPool()
    wait(pool, 'a')
    handOutJobs(pool, at(0))
    pool.engines[0].deathsInARow = 5
    expect(inWords(reduce(pool, pool.engines[0], answersOf(['a']), at(1)))).toEqual(['resolve a'])
    expect(pool.engines[0].deathsInARow).toBe(0)
  })
})

describe('a start that fails', () => {
  const refused = (passing: boolean): EngineEvent => ({
    kind: 'unavailable',
    detail: 'No graph.',
    cause: null,
    passing,
  })

  function starting(): { pool: Pool; engine: Engine } {
    const pool = aPool()
    const [engine] = pool.engines
    engine.state = 'loading'
    wait(pool, 'a')
    return { pool: Object.assign(pool, { manifest: null }), engine }
  }

  it('for good, of the first engine: everybody is told and nothing is tried again', () => {
    const { pool, engine } = starting()
    reduce(pool, engine, refused(false), at(0))
    expect(inWords(reduce(pool, engine, gone, at(1)))).toEqual(['reject a: model_unavailable: No graph.', 'kill 0'])
    expect([engine.state, nextAlarm(engine, pool.settings)]).toEqual(['stopped', null])
  })

  it('for now, of the first engine: jobs wait, however often it fails', () => {
    const { pool, engine } = starting()
    for (let time = 1; time < 6; time += 1) {
      reduce(pool, engine, refused(true), at(time))
      expect(inWords(reduce(pool, engine, gone, at(time)))).toEqual([])
      expect(inWords(reduce(pool, engine, { kind: 'pause-over' }, at(time)))).toEqual(['start 0'])
    }
    expect([pool.jobs.size, engine.failure?.tries]).toEqual([1, 5])
  })

  it('of all engines of a pool that was ready: jobs are handed back at the third time in a row', () => {
    const pool = aPool({ engines: 2 })
    const [first, second] = pool.engines
    for (const engine of pool.engines) engine.state = 'loading'
    wait(pool, 'a')
    const fail = (engine: Engine): string[] => {
      engine.state = 'loading'
      return inWords(reduce(pool, engine, gone, at(0)))
    }
    expect(
      [first, second, first, second, first].flatMap((engine) => (engine === undefined ? [] : fail(engine))),
    ).toEqual([])
    expect(second === undefined ? [] : fail(second)).toEqual([expect.stringContaining('reject a: the engine pool')])
  })
})

describe('an engine that is over its memory limit', () => {
  const memoryLimitBytes = 1000

  it.each([
    ['is replaced once it is empty', {}, 1001, true],
    ['is left alone up to its limit', {}, 1000, false],
    ['is left alone if the model alone takes nearly all', { bytesAtRest: 900 }, 1001, false],
  ] as const)('%s', (_, changes, residentBytes, isReplaced) => {
    const pool = aPool({ memoryLimitBytes })
    Object.assign(pool.engines[0], { bytesAtRest: 500 }, changes)
    wait(pool, 'a', 'b')
    handOutJobs(pool, at(0))
    const words = inWords(reduce(pool, pool.engines[0], answersOf(['a'], { residentBytes }), at(1)))
    expect(words).toEqual(isReplaced ? ['resolve a', 'send 0: drain'] : ['resolve a'])
    wait(pool, 'c')
    const then = inWords(reduce(pool, pool.engines[0], answersOf(['b'], { residentBytes }), at(2)))
    expect(then).toEqual(isReplaced ? ['resolve b', 'kill 0'] : ['resolve b', 'send 0: c'])
    expect(inWords(reduce(pool, pool.engines[0], gone, at(3)))).toEqual(isReplaced ? ['start 0'] : [])
  })

  it('is left alone while another engine can not take its jobs', () => {
    const pool = aPool({ memoryLimitBytes, engines: 2 })
    for (const engine of pool.engines) engine.bytesAtRest = 500
    const [first, second] = pool.engines
    if (second !== undefined) second.state = 'loading'
    reduce(pool, first, answersOf([], { residentBytes: 1001 }), at(0))
    expect(first.retiring).toBe(false)
  })

  it.each([
    [{ bytesAtRest: 100 }, 1250, false],
    [{ bytesAtRest: 100 }, 1251, true],
    [{ bytesAtRest: 900 }, 1800, false],
    [{ bytesAtRest: 900 }, 1801, true],
  ])('far over it in a run is killed, once: %j holds %d: %s', (changes, residentBytes, isKilled) => {
    const pool = aPool({ memoryLimitBytes })
    Object.assign(pool.engines[0], changes)
    const look = (): string[] => inWords(reduce(pool, pool.engines[0], { kind: 'resident', residentBytes }, at(0)))
    expect([look(), look()]).toEqual([isKilled ? ['kill 0'] : [], []])
  })
})

describe('an engine of which nothing is heard', () => {
  const limits = { runTimeoutMs: 1000, loadTimeoutMs: 5000 }
  const handed = new Map([['a', aJob('a')]])
  it.each<[string, Partial<Engine>, ReturnType<typeof nextAlarm>]>([
    ['is awaited while it loads', { state: 'loading', since: 10 }, { at: 5010, kind: 'silence' }],
    ['is awaited while it has jobs', { quietSince: 20, handed }, { at: 1020, kind: 'silence' }],
    ['is left in peace while it has none', { quietSince: 20 }, null],
    ['is not killed twice', { quietSince: 20, handed, killedFor: 'silence' }, null],
    ['is started again after its pause', { state: 'paused', since: 30, pauseMs: 400 }, { at: 430, kind: 'pause-over' }],
    ['is left in peace while it is replaced', { state: 'replaced', handed }, null],
    ['is left in peace when it is stopped', { state: 'stopped', handed }, null],
  ])('%s', (_, changes, alarm) => {
    expect(nextAlarm({ ...aPool().engines[0], ...changes }, limits)).toEqual(alarm)
  })

  it('has all the time again with each message, and with its first job', () => {
    const pool = aPool()
    wait(pool, 'a', 'b')
    handOutJobs(pool, at(500))
    expect(nextAlarm(pool.engines[0], pool.settings)?.at).toBe(1500)
    reduce(pool, pool.engines[0], { kind: 'launch', ids: ['a'] }, at(700))
    expect(nextAlarm(pool.engines[0], pool.settings)?.at).toBe(1700)
    wait(pool, 'c')
    handOutJobs(pool, at(900))
    expect(nextAlarm(pool.engines[0], pool.settings)?.at).toBe(1700)
  })

  it('has no limit where none is set', () => {
    const engine = { ...aPool().engines[0], handed }
    expect(nextAlarm(engine, { runTimeoutMs: Infinity, loadTimeoutMs: Infinity })).toBeNull()
  })
})

it('an engine that is replaced or stopped is not listened to', () => {
  for (const state of ['replaced', 'stopped'] as const) {
    const pool = aPool()
    pool.engines[0].state = state
    expect(reduce(pool, pool.engines[0], answersOf(['a']), at(0))).toEqual([])
  }
})

it('knows what an engine does while it loads, and forgets it once the engine is up or gone', () => {
  const pool = aPool({ engines: 1 })
  const [engine] = pool.engines
  const opening: EngineEvent = { kind: 'loading', loading: { step: 'opening', at: 2, of: 3 } }
  reduce(pool, engine, gone, at(0))
  reduce(pool, engine, { kind: 'pause-over' }, at(100))
  expect(inWords(reduce(pool, engine, opening, at(150)))).toEqual([])
  expect(engine.loading).toEqual({ step: 'opening', at: 2, of: 3, since: at(150).unixMs })
  // To tell is not to get on: the time that it has for loading is not begun anew.
  expect(engine.quietSince).toBeLessThan(150)
  reduce(pool, engine, ready, at(500))
  expect(engine.loading).toBeNull()
  reduce(pool, engine, gone, at(600))
  reduce(pool, engine, { kind: 'pause-over' }, at(900))
  reduce(pool, engine, opening, at(950))
  reduce(pool, engine, gone, at(1000))
  expect(engine.loading).toBeNull()
})
