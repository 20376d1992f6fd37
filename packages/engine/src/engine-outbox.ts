import type { EngineAnswer, FromEngine } from './engine-protocol.ts'
import type { BatchRun } from './batching/run-or-split.ts'
import type { Launch } from './batching/launch.ts'

/** What an engine's answers message says besides the answers, looked at when it leaves. */
export type EngineState = Pick<
  Extract<FromEngine, { kind: 'answers' }>,
  'cpuSeconds' | 'batchLimit' | 'cost' | 'residentBytes' | 'generation'
>

/** What an engine has to say of its batches. */
export interface EngineOutbox {
  /** Leaves with the next launch where that comes in the same turn of the event loop, else by itself. */
  answer: (answers: readonly EngineAnswer[], runs?: readonly BatchRun[], launch?: Launch | null) => void
  /** Resolves when the message has left this process: the pool then knows who runs. */
  launch: (ids: string[]) => Promise<void>
}

/**
 * One message for the answers of a batch and the launch of the next, instead of two: each costs a system
 * call and a wake-up on both sides.
 */
export function createEngineOutbox({
  send,
  state,
}: {
  send: (message: FromEngine) => Promise<void>
  state: () => EngineState
}): EngineOutbox {
  let answers: EngineAnswer[] = []
  let runs: BatchRun[] = []
  let launches: Launch[] = []
  let filled = false

  async function flush(launched: string[]): Promise<void> {
    if (!filled) return launched.length === 0 ? undefined : send({ kind: 'launch', ids: launched })
    filled = false
    const message: FromEngine = { kind: 'answers', answers, runs, launches, launched, ...state() }
    answers = []
    runs = []
    launches = []
    return send(message)
  }

  return {
    answer(newAnswers, newRuns = [], launch = null) {
      answers.push(...newAnswers)
      runs.push(...newRuns)
      if (launch !== null) launches.push(launch)
      if (filled) return
      filled = true
      queueMicrotask(() => {
        // A failed send means that the pool is gone, and then the engine ends anyway.
        flush([]).catch(() => {})
      })
    },
    launch: flush,
  }
}
