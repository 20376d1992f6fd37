import { type EngineOptions, fromEngineSchema } from '@vision-queue/engine/messages'

import type { Engine } from './engine.ts'
import { nextAlarm } from './engine-alarm.ts'
import type { EngineEvent } from './engine-event.ts'
import type { EngineProcess, LaunchEngine } from './engine-process.ts'
import type { EngineAction } from './pool-action.ts'
import type { PoolSettings } from './pool.ts'
import { readResidentBytes } from './resident-memory.ts'

/** The processes of a pool's engines and the timers that watch over them. */
export interface EngineHost {
  perform: (action: EngineAction) => void
  /** Sets the timers by what is known of the engine now; to be called after each event. */
  watch: (engine: Engine) => void
  /** Resolves when the processes that there are have ended. */
  gone: () => Promise<void>
}

export interface EngineHostOptions {
  launch: LaunchEngine
  /** Looked at for each process that is started. */
  engineOptions: () => EngineOptions
  settings: PoolSettings
  onEvent: (engine: Engine, event: EngineEvent) => void
}

interface Hosted {
  running: EngineProcess | null
  alarm: NodeJS.Timeout | undefined
  alarmAt: number
  memoryWatch: NodeJS.Timeout | undefined
}

const memoryCheckMs = 200
/** The longest time that a timer of Node waits. */
const longestTimerMs = 2 ** 31 - 1

export function createEngineHost({ launch, engineOptions, settings, onEvent }: EngineHostOptions): EngineHost {
  const hosts = new Map<number, Hosted>()

  function hostOf({ index }: Engine): Hosted {
    const hosted = hosts.get(index) ?? { running: null, alarm: undefined, alarmAt: 0, memoryWatch: undefined }
    hosts.set(index, hosted)
    return hosted
  }

  function start(engine: Engine, hosted: Hosted): void {
    // The pool may have closed meanwhile.
    if (engine.state === 'stopped') return
    hosted.running = launch(engineOptions(), {
      onMessage(raw) {
        const { success, data, error } = fromEngineSchema.safeParse(raw)
        onEvent(engine, success ? data : { kind: 'unreadable', issues: error.issues.length })
      },
      onGone(exit, lastWords) {
        hosted.running = null
        onEvent(engine, { kind: 'gone', exit, lastWords })
      },
    })
    engine.pid = hosted.running.pid
  }

  /** A timer that rings too early does no harm: what is due is looked at again. So most events need no new timer. */
  function setAlarm(engine: Engine, hosted: Hosted): void {
    const next = nextAlarm(engine, settings)
    if (next !== null && hosted.alarm !== undefined && hosted.alarmAt <= next.at) return
    clearTimeout(hosted.alarm)
    hosted.alarm = undefined
    if (next === null) return
    hosted.alarmAt = next.at
    hosted.alarm = setTimeout(
      () => {
        hosted.alarm = undefined
        ring(engine, hosted)
      },
      Math.min(longestTimerMs, Math.max(0, next.at - performance.now())),
    )
  }

  function ring(engine: Engine, hosted: Hosted): void {
    const due = nextAlarm(engine, settings)
    if (due !== null && due.at <= performance.now()) onEvent(engine, { kind: due.kind })
    else setAlarm(engine, hosted)
  }

  function watchMemory(engine: Engine, hosted: Hosted): void {
    const isNeeded = settings.memoryLimitBytes > 0 && engine.state === 'up' && engine.handed.size > 0
    if (isNeeded === (hosted.memoryWatch !== undefined)) return
    clearInterval(hosted.memoryWatch)
    hosted.memoryWatch = isNeeded ? setInterval(() => void checkMemory(engine, hosted), memoryCheckMs) : undefined
  }

  async function checkMemory(engine: Engine, hosted: Hosted): Promise<void> {
    const watched = hosted.running
    const residentBytes = watched?.pid === undefined ? null : await readResidentBytes(watched.pid)
    if (residentBytes !== null && hosted.running === watched) onEvent(engine, { kind: 'resident', residentBytes })
  }

  return {
    perform(action) {
      const hosted = hostOf(action.engine)
      switch (action.kind) {
        case 'start':
          start(action.engine, hosted)
          break
        case 'send':
          hosted.running?.send(action.message)
          break
        case 'kill':
          hosted.running?.kill()
          break
        case 'give-way':
          hosted.running?.giveWay()
          break
        default:
          action satisfies never
      }
    },
    watch(engine) {
      const hosted = hostOf(engine)
      setAlarm(engine, hosted)
      watchMemory(engine, hosted)
    },
    async gone() {
      await Promise.all([...hosts.values()].map(async ({ running }) => running?.gone))
    },
  }
}
