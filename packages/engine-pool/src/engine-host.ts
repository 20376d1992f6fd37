import { type BlobSource, type EngineOptions, readFromEngine } from '@vision-queue/engine/messages'

import type { Engine } from './engine.ts'
import type { EngineEvent } from './engine-event.ts'
import type { EngineProcess, LaunchEngine } from './engine-process.ts'
import { createEngineTimers, type EngineTimers } from './engine-timers.ts'
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
  /** Of the engine at this place of the pool; looked at for each process that is started. */
  engineOptions: (index: number) => EngineOptions
  /** Where they read images themselves. */
  blobs: BlobSource | undefined
  settings: PoolSettings
  onEvent: (engine: Engine, event: EngineEvent) => void
}

interface Hosted {
  running: EngineProcess | null
  timers: EngineTimers
}

/** No process yet. */
export function createEngineHost({ launch, engineOptions, blobs, settings, onEvent }: EngineHostOptions): EngineHost {
  const hosts = new Map<number, Hosted>()

  function hostOf(engine: Engine): Hosted {
    const known = hosts.get(engine.index)
    if (known !== undefined) return known
    const timers = createEngineTimers({
      engine,
      settings,
      onAlarm: (kind) => onEvent(engine, { kind }),
      onMemoryCheck: () => void checkMemory(engine, hosted),
    })
    const hosted: Hosted = { running: null, timers }
    hosts.set(engine.index, hosted)
    return hosted
  }

  function start(engine: Engine, hosted: Hosted): void {
    // The pool may have closed meanwhile.
    if (engine.state === 'stopped') return
    hosted.running = launch(engineOptions(engine.index), {
      onMessage(raw) {
        onEvent(engine, readFromEngine(raw) ?? { kind: 'unreadable' })
      },
      onGone(exit, lastWords) {
        hosted.running = null
        onEvent(engine, { kind: 'gone', exit, lastWords })
      },
    })
    engine.pid = hosted.running.pid
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
        case 'open-blobs':
          if (blobs !== undefined) hosted.running?.send({ kind: 'blobs', source: blobs })
          break
        default:
          action satisfies never
      }
    },
    watch(engine) {
      hostOf(engine).timers.set()
    },
    async gone() {
      await Promise.all([...hosts.values()].map(async ({ running }) => running?.gone))
    },
  }
}
