import type { Engine } from './engine.ts'
import { type Alarm, nextAlarm } from './engine-alarm.ts'
import type { PoolSettings } from './pool.ts'

/** The timers that watch over one engine. */
export interface EngineTimers {
  /** Sets them by what is known of the engine now. */
  set: () => void
}

/** An engine that has said for so long nothing of its memory is looked at from outside, and from then on so often. */
const memoryCheck = { afterMs: 500, everyMs: 200 }
/** The longest time that a timer of Node waits. */
const longestTimerMs = 2 ** 31 - 1

/**
 * `onAlarm` is told when an alarm of `nextAlarm` is due. `onMemoryCheck` is called again and again, if the engine's
 * memory is limited, while a run keeps the engine from saying what it holds.
 */
export function createEngineTimers({
  engine,
  settings,
  onAlarm,
  onMemoryCheck,
}: {
  engine: Engine
  settings: PoolSettings
  onAlarm: (kind: Alarm['kind']) => void
  onMemoryCheck: () => void
}): EngineTimers {
  let alarm: NodeJS.Timeout | undefined
  let alarmAt = 0
  let memoryWatch: NodeJS.Timeout | undefined

  /** A timer that rings too early does no harm: what is due is looked at again. So most events need no new timer. */
  function setAlarm(): void {
    const next = nextAlarm(engine, settings)
    if (next !== null && alarm !== undefined && alarmAt <= next.at) return
    clearTimeout(alarm)
    alarm = undefined
    if (next === null) return
    alarmAt = next.at
    alarm = setTimeout(ring, Math.min(longestTimerMs, Math.max(0, next.at - performance.now())))
  }

  function ring(): void {
    alarm = undefined
    const due = nextAlarm(engine, settings)
    if (due !== null && due.at <= performance.now()) onAlarm(due.kind)
    else setAlarm()
  }

  const mayGrow = (): boolean => settings.memoryLimitBytes > 0 && engine.state === 'up' && engine.handed.size > 0

  /** Most batches end before the timer rings, and it is left to ring for the next one: no timer is set for each job. */
  function watchMemory(): void {
    if (memoryWatch === undefined && mayGrow()) memoryWatch = setTimeout(lookAtMemory, memoryCheck.afterMs)
  }

  function lookAtMemory(): void {
    memoryWatch = undefined
    if (!mayGrow()) return
    const dueInMs = engine.memoryKnownAt + memoryCheck.afterMs - performance.now()
    if (dueInMs <= 0) onMemoryCheck()
    memoryWatch = setTimeout(lookAtMemory, Math.max(memoryCheck.everyMs, dueInMs))
  }

  return {
    set() {
      setAlarm()
      watchMemory()
    },
  }
}
