import type { FromEngine } from '@vision-queue/engine/messages'
import { VisionQueueError } from '@vision-queue/protocol'

import type { Engine } from './engine.ts'
import type { EngineEvent, Moment } from './engine-event.ts'
import { onGone, onReady, restartEngine } from './engine-life.ts'
import { mustBeKilled } from './engine-memory.ts'
import { onAnswers, onLaunch, onTokens } from './engine-reports.ts'
import type { Action } from './pool-action.ts'
import { logLine, type Pool } from './pool.ts'

/**
 * What a pool makes of an event of one of its engines: changes the pool's data in place and returns what is to be
 * done. Nothing else: no clock, no process, no timer is touched here.
 */
export function reduce(pool: Pool, engine: Engine, event: EngineEvent, now: Moment): Action[] {
  // A process that is on its way out may still speak.
  const isLeaving = engine.state === 'replaced' || engine.state === 'stopped'
  if (isLeaving && event.kind !== 'gone') return []
  switch (event.kind) {
    case 'unreadable': {
      const fields = { pid: engine.pid }
      return [logLine(pool, 'error', 'an engine speaks another language; killed', fields), { kind: 'kill', engine }]
    }
    case 'silence':
      return kill(engine, 'silence')
    case 'resident': {
      const { residentBytes } = event
      if (!mustBeKilled(pool.settings, engine, residentBytes)) return []
      const fields = { pid: engine.pid, residentBytes }
      return [
        logLine(pool, 'warn', 'an engine takes too much memory in a run; killed', fields),
        ...kill(engine, 'memory'),
      ]
    }
    case 'gone':
      return onGone(pool, engine, event, now)
    case 'pause-over':
      return restartEngine(engine, now)
    case 'loading':
      engine.loading = { ...event.loading, since: now.unixMs }
      return []
    case 'ready':
    case 'unavailable':
    case 'launch':
    case 'tokens':
    case 'answers':
      engine.quietSince = now.ms
      return hear(pool, engine, event, now)
    default:
      return event satisfies never
  }
}

function hear(pool: Pool, engine: Engine, message: Exclude<FromEngine, { kind: 'loading' }>, now: Moment): Action[] {
  switch (message.kind) {
    case 'ready':
      return onReady(pool, engine, message, now)
    case 'unavailable': {
      const { detail, cause, passing } = message
      const error = new VisionQueueError('model_unavailable', detail, { cause: cause ?? undefined })
      engine.refusal = { error, passing }
      return []
    }
    case 'launch':
      return onLaunch(engine, message.ids)
    case 'tokens':
      return onTokens(engine, message.tokens)
    case 'answers':
      return onAnswers(pool, engine, message, now)
    default:
      return message satisfies never
  }
}

function kill(engine: Engine, killedFor: NonNullable<Engine['killedFor']>): Action[] {
  engine.killedFor = killedFor
  return [{ kind: 'kill', engine }]
}
