import type { Engine } from './engine.ts'
import { type Alarm, nextAlarm } from './engine-alarm.ts'
import type { PoolSettings } from './pool.ts'

/** The timers that watch over one engine. */
export interface EngineTimers {
  /** Sets them by what is known of the engine now. */
  set: () => void
}

const memoryCheckMs = 200
/** The longest time that a timer of Node waits. */
const longestTimerMs = 2 ** 31 - 1

/**
 * `onAlarm` is told when an alarm of `nextAlarm` is due. `onMemoryCheck` is called again and again while the engine has
 * jobs, if its memory is limited.
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

  function watchMemory(): void {
    const isNeeded = settings.memoryLimitBytes > 0 && engine.state === 'up' && engine.handed.size > 0
    if (isNeeded === (memoryWatch !== undefined)) return
    clearInterval(memoryWatch)
    memoryWatch = isNeeded ? setInterval(onMemoryCheck, memoryCheckMs) : undefined
  }

  return {
    set() {
      setAlarm()
      watchMemory()
    },
  }
}
