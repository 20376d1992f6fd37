import type { FromEngine } from '@vision-queue/engine/messages'

/** What a pool hears of an engine: what the engine says, and what the executor sees of its process. */
export type EngineEvent =
  | FromEngine
  /** A message that does not follow the protocol. */
  | { kind: 'unreadable' }
  /** It said nothing for as long as it may, see nextAlarm. */
  | { kind: 'silence' }
  /** What its process holds while it has jobs, as the system tells it. */
  | { kind: 'resident'; residentBytes: number }
  /** The process has ended. `exit`: how; `lastWords`: the end of what it wrote to stderr. */
  | { kind: 'gone'; exit: string; lastWords: string }
  /** It is to be started again. */
  | { kind: 'pause-over' }

/** When an event was heard. */
export interface Moment {
  /** Milliseconds by the monotonic clock: all waiting is counted in it. */
  ms: number
  /** Milliseconds since 1970, for what others are told. */
  unixMs: number
}
