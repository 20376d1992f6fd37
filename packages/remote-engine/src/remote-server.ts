import type { InferenceRequest, InferenceResult } from '@vision-queue/engine-pool'
import type { ModelManifest } from '@vision-queue/protocol'

/** A server elsewhere that answers jobs, by whatever it speaks. */
export interface RemoteServer {
  /**
   * Asks whether it can take jobs. Rejects with NotReadyError where it can't now, and with a VisionQueueError where it
   * never will as the folder is.
   */
  look: (signal: AbortSignal) => Promise<ModelManifest>
  /**
   * Has a job answered. Rejects with NoRoomError and NotReachedError, of which the job knows nothing, with a
   * VisionQueueError, and with any other error where the answer was broken off.
   */
  ask: (request: InferenceRequest, events: AskEvents) => Promise<InferenceResult['output']>
  close: () => Promise<void>
}

/** What happens to a job at the server. */
export interface AskEvents {
  /** Fires where the answer is not wanted any more. */
  signal: AbortSignal
  /** Told once the server has taken the job. */
  onAccepted: () => void
}

/** The server has no room for a job now. */
export class NoRoomError extends Error {
  /** When it says that it may have, in milliseconds from now; null: it doesn't say. */
  readonly retryAfterMs: number | null

  constructor(retryAfterMs: number | null) {
    super('the server has no room for the job')
    this.name = 'NoRoomError'
    this.retryAfterMs = retryAfterMs
  }
}

/** There is no connection to the server: it has not heard of the job. */
export class NotReachedError extends Error {
  constructor(options: ErrorOptions) {
    super('the server can not be reached', options)
    this.name = 'NotReachedError'
  }
}

/** The server takes no jobs of the model now. `detail` is public. */
export class NotReadyError extends Error {
  readonly detail: string

  constructor(detail: string, options: ErrorOptions = {}) {
    super(detail, options)
    this.name = 'NotReadyError'
    this.detail = detail
  }
}
