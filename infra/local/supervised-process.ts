import { setTimeout as delay } from 'node:timers/promises'

import { describeExit, startProcessGroup, type Command, type Exit, type ProcessGroup } from './process-group.ts'

/** How long to wait before a dead process is started again: doubled each time, up to `maxMs`. */
export interface Backoff {
  minMs: number
  maxMs: number
  /** A process that stayed up this long starts over at `minMs` when it dies. */
  steadyMs: number
}

export const defaultBackoff: Backoff = { minMs: 500, maxMs: 30_000, steadyMs: 10_000 }

export interface SupervisedProcess {
  readonly name: string
  /** Undefined while it is not running. */
  readonly pid: number | undefined
  /** Stops it for good: SIGTERM, then SIGKILL after the deadline. Waits until it has ended. */
  stop(): Promise<void>
  /** SIGKILL at once and for good; `stop` still tells when it is over. */
  kill(): void
}

interface Options {
  name: string
  command: Command
  ipc: boolean
  backoff: Backoff
  stopDeadlineMs: number
  /** A line for the person at the terminal. */
  say: (line: string) => void
  onLine: (line: string) => void
  /** Called whenever it was started or has ended. */
  onChange: () => void
  /** Decides, when it ended by itself, whether it is started again; waited for, so that it may repair something. */
  onExit: (exit: Exit) => 'restart' | 'leave' | Promise<'restart' | 'leave'>
}

/** Keeps one process running until it is stopped: when it dies, it is started again after a growing wait. */
export function superviseProcess(options: Options): SupervisedProcess {
  const { name, command, ipc, backoff, stopDeadlineMs, say, onLine, onChange, onExit } = options
  const stopping = new AbortController()
  let current: ProcessGroup | undefined

  async function keepRunning(): Promise<void> {
    let waitMs = backoff.minMs
    let restarts = 0
    while (!stopping.signal.aborted) {
      current = startProcessGroup(command, { onLine, ipc })
      const startedAt = performance.now()
      onChange()
      if (restarts > 0 && current.pid !== undefined) say(`${name} runs again (pid ${current.pid}).`)
      const exit = await current.exited
      current = undefined
      onChange()
      if (stopping.signal.aborted || (await onExit(exit)) === 'leave') return

      if (performance.now() - startedAt >= backoff.steadyMs) waitMs = backoff.minMs
      say(`${name} ${describeExit(exit)}; it is started again in ${waitMs / 1000} s.`)
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      waitMs = Math.min(waitMs * 2, backoff.maxMs)
      restarts += 1
    }
  }
  const running = keepRunning()

  return {
    name,
    get pid() {
      return current?.pid
    },
    async stop() {
      stopping.abort()
      await current?.stop(stopDeadlineMs)
      await running
    },
    kill() {
      stopping.abort()
      current?.kill()
    },
  }
}
