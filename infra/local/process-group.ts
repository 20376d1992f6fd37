import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

/** What to run, all of it: nothing is taken from the environment of the one who runs it. */
export interface Command {
  file: string
  args: readonly string[]
  cwd: string
  env: Record<string, string | undefined>
}

/** How a process ended. */
export type Exit =
  | { kind: 'code'; code: number }
  | { kind: 'signal'; signal: NodeJS.Signals }
  | { kind: 'not-started'; message: string }

export function describeExit(exit: Exit): string {
  switch (exit.kind) {
    case 'code':
      return `ended with exit code ${exit.code}`
    case 'signal':
      return `was killed by ${exit.signal}`
    case 'not-started':
      return `could not be started: ${exit.message}`
    default:
      return exit satisfies never
  }
}

export interface ProcessGroup {
  /** Undefined where the process could not be started. */
  readonly pid: number | undefined
  readonly process: ChildProcess
  /** Settles when the process has ended and its output has been read. */
  readonly exited: Promise<Exit>
  /** SIGTERM, then SIGKILL for all of the group after `deadlineMs`. Waits until it has ended. */
  stop(deadlineMs: number): Promise<Exit>
  /** SIGKILL for all of the group, at once. */
  kill(): void
}

interface Options {
  /** Every line that it writes, of both streams. */
  onLine: (line: string) => void
  /** Open an IPC channel, so that the process is told (`disconnect`) when we die. */
  ipc?: boolean
}

/**
 * Runs a command as the head of a process group of its own: Ctrl-C in the terminal reaches only us,
 * and whatever it leaves behind can be killed with it. When the head ends, the rest is killed.
 */
export function startProcessGroup(command: Command, { onLine, ipc = false }: Options): ProcessGroup {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])]
  const child = spawn(command.file, command.args, { cwd: command.cwd, env: command.env, detached: true, stdio })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', onLine)
  }

  function kill(): void {
    if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL')
  }

  const exited = exitOf(child).then(async (exit) => {
    kill()
    return exit
  })

  return {
    pid: child.pid,
    process: child,
    exited,
    kill,
    async stop(deadlineMs) {
      child.kill('SIGTERM')
      const timer = setTimeout(kill, deadlineMs)
      try {
        return await exited
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** Sends a signal to a process, or with a negative number to its group; false where there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  const notStarted = new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ kind: 'not-started', message: error.message })
    })
  })
  const ended = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      const exit: Exit = signal === null ? { kind: 'code', code: code ?? 0 } : { kind: 'signal', signal }
      // Its last lines may still be in the pipe; a grandchild that holds the pipe open must not hold us.
      void Promise.race([once(child, 'close'), delay(500)]).finally(() => resolve(exit))
    })
  })
  return await Promise.race([notStarted, ended])
}
