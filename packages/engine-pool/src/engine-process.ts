import type { EngineOptions, ToEngine } from '@vision-queue/engine/messages'

/** An engine that runs: a process of its own, or the same engine in this process (see in-process.ts). */
export interface EngineProcess {
  /** Undefined if it has no process of its own. */
  readonly pid: number | undefined
  send: (message: ToEngine) => void
  /** Ends it. What it has is lost. */
  kill: () => void
  /** From now on others on its cores come first. While it loads it does not give way: jobs wait for it. */
  giveWay: () => void
  /** Resolves when it has ended and all that it said has been heard. */
  readonly gone: Promise<void>
}

export interface EngineProcessEvents {
  /** What it says, not yet parsed. */
  onMessage: (message: unknown) => void
  /** Told once. `exit`: how it ended; `lastWords`: the end of what it wrote to stderr. */
  onGone: (exit: string, lastWords: string) => void
}

/** Starts an engine; events come later, not before it returns. */
export type LaunchEngine = (options: EngineOptions, events: EngineProcessEvents) => EngineProcess
