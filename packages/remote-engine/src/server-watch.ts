import type { ModelManifest } from '@vision-queue/protocol'
import { VisionQueueError } from '@vision-queue/protocol'

import { NotReachedError, NotReadyError, type RemoteServer } from './remote-server.ts'

/** What is known of whether a server can take jobs. */
export interface ServerState {
  /** Of the last look that went well; null: none did. */
  manifest: ModelManifest | null
  isUp: boolean
  /** Looks that failed in a row, and what the last one said. */
  failure: { tries: number; detail: string; retryAt: number } | null
  /** Why the server will never take jobs of the folder as it is. */
  refusal: VisionQueueError | null
  /** Looks that followed on one that had failed. */
  triedAgain: number
}

/** Keeps asking a server whether it can take jobs: often while it can't, and now and then while it can. */
export interface ServerWatch {
  readonly state: Readonly<ServerState>
  /** Something went wrong with a job: asks at once. `isGone`: nobody is there, so no more jobs until somebody is. */
  doubt: (what: { isGone: boolean }) => void
  close: () => void
}

export interface ServerWatchOptions {
  server: Pick<RemoteServer, 'look'>
  /** The longest pause after looks that failed; it begins at 100 ms and doubles. */
  longestPauseMs: number
  /** The pause after looks that went well. */
  calmPauseMs?: number
  /** How long a look may take. */
  lookTimeoutMs?: number
  /** Told after each look, and when a doubt has changed the state. */
  onChange: () => void
}

const firstPauseMs = 100
const notReached = 'The server of this model can not be reached.'

export function watchServer({
  server,
  longestPauseMs,
  calmPauseMs = 5000,
  lookTimeoutMs = 5000,
  onChange,
}: ServerWatchOptions): ServerWatch {
  const state: ServerState = { manifest: null, isUp: false, failure: null, refusal: null, triedAgain: 0 }
  let timer: NodeJS.Timeout | undefined
  let looking: AbortController | null = null
  let closed = false

  const fail = (detail: string): number => {
    const tries = (state.failure?.tries ?? 0) + 1
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tries - 1, 20))
    state.isUp = false
    state.failure = { tries, detail, retryAt: Date.now() + pauseMs }
    return pauseMs
  }

  const lookIn = (pauseMs: number): void => {
    clearTimeout(timer)
    // A server that nobody asks anything keeps no process alive.
    timer = setTimeout(() => void look(), pauseMs).unref()
  }

  const look = async (): Promise<void> => {
    if (looking !== null || closed) return
    clearTimeout(timer)
    if (state.failure !== null) state.triedAgain += 1
    const controller = new AbortController()
    looking = controller
    const tooLong = setTimeout(() => controller.abort(), lookTimeoutMs)
    let pauseMs: number | null = calmPauseMs
    try {
      state.manifest = await server.look(controller.signal)
      state.isUp = true
      state.failure = null
    } catch (error) {
      if (error instanceof VisionQueueError) {
        state.refusal = error
        state.isUp = false
        pauseMs = null
      } else pauseMs = fail(detailOf(error))
    } finally {
      clearTimeout(tooLong)
      looking = null
    }
    if (closed) return
    if (pauseMs !== null) lookIn(pauseMs)
    onChange()
  }
  void look()

  return {
    state,
    doubt({ isGone }) {
      if (closed || state.refusal !== null) return
      if (!isGone) void look()
      else if (state.isUp) {
        lookIn(fail(notReached))
        onChange()
      }
    },
    close() {
      closed = true
      clearTimeout(timer)
      looking?.abort()
    },
  }
}

/** A public sentence. */
function detailOf(error: unknown): string {
  if (error instanceof NotReadyError) return error.detail
  return error instanceof NotReachedError ? notReached : 'The server of this model does not answer.'
}
