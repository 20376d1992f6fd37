import type { Engine } from './engine.ts'
import type { PoolSettings } from './pool.ts'

/** When the executor is to wake a pool for an engine of which nothing is heard, and with which event. */
export interface Alarm {
  /** Milliseconds by the monotonic clock. */
  at: number
  kind: 'silence' | 'pause-over'
}

/** Null: nothing is waited for. Looked at anew after each event. */
export function nextAlarm(
  engine: Engine,
  settings: Pick<PoolSettings, 'loadTimeoutMs' | 'runTimeoutMs'>,
): Alarm | null {
  const { state, since, quietSince, handed, pauseMs, killedFor } = engine
  switch (state) {
    case 'loading':
      return killedFor === null ? silenceAt(since + settings.loadTimeoutMs) : null
    case 'up':
      return killedFor === null && handed.size > 0 ? silenceAt(quietSince + settings.runTimeoutMs) : null
    case 'paused':
      return { at: since + pauseMs, kind: 'pause-over' }
    case 'replaced':
    case 'stopped':
      return null
    default:
      return state satisfies never
  }
}

function silenceAt(at: number): Alarm | null {
  return at === Infinity ? null : { at, kind: 'silence' }
}
