import { fork } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { getPriority, setPriority } from 'node:os'

import { bundleEnv } from '@vision-queue/bundles/bundle-file'
import { availableCores } from '@vision-queue/process'
import type { EngineOptions } from '@vision-queue/engine/messages'
import type { EngineProcess, EngineProcessEvents } from './engine-process.ts'
import { createTurnOutbox } from './turn-outbox.ts'

/** How the process of an engine is started. */
export interface ForkOptions {
  /** Path of the program. */
  entry: string
  options: EngineOptions
  /** How many engines share this machine's cores. */
  engines: number
  /** By how much it gives way to other processes on its cores, this one among them, 0 to 19. */
  niceness: number
  /**
   * The whole environment of the process, but for what is set here. Image bytes from strangers are
   * decoded there, so it is given no secrets of its parent's.
   */
  env: Record<string, string>
}

const lastWordsLength = 2000

/** An engine in a process of its own. */
export function forkEngine(
  { entry, options, engines, niceness, env }: ForkOptions,
  { onMessage, onGone }: EngineProcessEvents,
): EngineProcess {
  const [file, ...args] = /\.m?ts$/.test(entry) ? [bundleRunner(), entry] : [entry]
  const child = fork(file, [...args, JSON.stringify(options)], {
    serialization: 'advanced',
    env: { ...env, ...bundleEnv(), UV_THREADPOOL_SIZE: String(decodingThreads(engines)) },
    // A picture that finds a way to write JavaScript shall find nobody who runs it.
    execArgv: ['--disallow-code-generation-from-strings'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let lastWords = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-lastWordsLength)
  })
  child.on('message', onMessage)
  const gone = new Promise<void>((resolve) => {
    // Not 'exit': that one can overtake messages which are still in the pipe.
    child.on('close', (code, signal) => {
      onGone(signal === null ? `exit code ${code}` : `signal ${signal}`, lastWords)
      resolve()
    })
    child.on('error', (error) => {
      // Of a process that could not even be started nothing else is heard.
      if (child.pid !== undefined) return
      child.removeAllListeners('close')
      onGone(error.message, lastWords)
      resolve()
    })
  })
  return {
    pid: child.pid,
    gone,
    send: createTurnOutbox((message) => {
      // A message that can't be sent was for a process that has just died; 'close' tells of that.
      child.send(message, () => {})
    }),
    kill() {
      // SIGKILL: an engine holds nothing that could be lost, and one in a native call hears nothing else.
      child.kill('SIGKILL')
    },
    giveWay() {
      if (child.pid === undefined) return
      for (const thread of threadsOf(child.pid)) lowerPriority(thread, niceness)
    },
  }
}

/** Linux keeps a priority for each thread, whose new threads take it over; elsewhere it is the process's. */
function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return [pid]
  }
}

function lowerPriority(pid: number, niceness: number): void {
  try {
    setPriority(pid, Math.min(19, getPriority() + niceness))
  } catch {
    // Where a sandbox forbids it, it runs as everybody does; and one that is gone already is reported otherwise.
  }
}

/**
 * Threads that decode images: the engine's share of the cores and one more, so that a core which a
 * thread leaves waiting is used.
 */
function decodingThreads(engines: number): number {
  return Math.max(2, Math.ceil(availableCores() / engines) + 1)
}

/** What runs TypeScript files; found from here, not from the working folder. */
export function bundleRunner(): string {
  return createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
}
