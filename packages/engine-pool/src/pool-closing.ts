import type { VisionQueueError } from '@vision-queue/protocol'

import { HandedBackError } from './inference.ts'
import type { Action } from './pool-action.ts'
import { handBack, handBackQueue } from './pool-jobs.ts'
import { logLine, type Pool } from './pool.ts'

/** No more jobs: what no engine has is handed back, and the engines wait for nobody. */
export function closePool(pool: Pool): Action[] {
  pool.closedBy = new HandedBackError()
  const actions: Action[] = [...handBackQueue(pool), { kind: 'not-ready', reason: pool.closedBy }]
  if (pool.jobs.size === 0) return actions
  const up = pool.engines.filter(({ state }) => state === 'up')
  return [...actions, ...up.map((engine): Action => ({ kind: 'send', engine, message: { kind: 'drain' } }))]
}

/** The model can't be served: everybody who waits is told why. */
export function giveUp(pool: Pool, error: VisionQueueError): Action[] {
  pool.closedBy = error
  return [
    logLine(pool, 'error', 'the model can not be served', { err: error }),
    { kind: 'not-ready', reason: error },
    ...handBack(pool, pool.jobs.values(), error),
    ...stopEngines(pool),
  ]
}

/** Ends all engines for good. */
export function stopEngines({ engines }: Pool): Action[] {
  return engines.map((engine) => {
    engine.state = 'stopped'
    return { kind: 'kill', engine }
  })
}
