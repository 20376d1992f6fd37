import type { JobSignal } from '@vision-queue/process'
import { type Job, type Priority, submissionSchema } from '@vision-queue/protocol'
import type { BlobPart, QueuedJob } from '@vision-queue/queue'
import type { z } from 'zod'

import type { WaitSignal } from '../delivery/wait-signal.ts'
import type { Caller as KnownCaller } from '../guard/caller.ts'

export type JsonValue = z.infer<z.ZodJSONSchema>

/** The fields of a submission beside its inputs, by the names that clients know them by. */
export const envelopeNames: readonly string[] = Object.keys(submissionSchema.omit({ input: true }).shape)

/** An image that a submission brings. */
export type SubmittedImage =
  /** The file, not empty; nothing else is known of it. */
  | { kind: 'bytes'; bytes: Uint8Array }
  /** One that was uploaded before, or is said to have been. */
  | { kind: 'upload'; hash: string }
  /** Where to fetch it from; any text that begins like an address of the web. */
  | { kind: 'address'; address: string; field: string }
  /** That of an earlier job of the same owner. */
  | { kind: 'kept'; blob: BlobPart }

/** What is asked of a model, its envelope valid; what the model takes is not checked yet. */
export interface Question {
  /** `name`, `name@version` or `name@alias`; null where it was left out. */
  model: string | null
  /** The task's inputs without the images. */
  input: Record<string, JsonValue>
  /** `text`: the inputs are texts, or lists of them, that still need the types that the model's schema asks for. */
  inputForm: 'json' | 'text'
  /** Whether an input that the model doesn't know is left out, because the door can't tell it from what is no input. */
  dropsUnknownInput: boolean
  /** Names that came outside the inputs. One that the model knows is refused, because it stands in the wrong place. */
  strayNames: readonly string[]
  images: readonly SubmittedImage[]
  parameters: Record<string, JsonValue>
  metadata: Record<string, string> | null
  deadlineMs: number | null
  priority: Priority
  /** Whether an earlier answer will do. */
  cache: boolean
  /** The job that this is another try of; null: none. */
  retryOf: string | null
}

/** How a submission is to be answered, whatever it asks. */
export interface Reply {
  /** One that can be a key, see parseIdempotencyKey; null: none. */
  idempotencyKey: string | null
  /** How long to wait for the job's end; null: not at all. */
  waitMs: number | null
}

/** What any door makes of a request: a question, or the id of a job to ask again. */
export type Submission = Reply & ({ kind: 'question'; question: Question } | { kind: 'retry'; jobId: string })

/** Who sent a submission, and the request that it came in. */
export interface Caller extends Pick<KnownCaller, 'owner' | 'quota'> {
  /** The request, as its job tells of it in logs. */
  context: NonNullable<QueuedJob['context']>
  /** A signal that fires when the client goes away or, if it is given, with `closing`. */
  watch(closing?: JobSignal): WaitSignal
}

/** What is known of a fresh job's turn. */
export interface Turn {
  /** Jobs accepted before it. */
  queuePosition: number
  /** In how many milliseconds it will be done; null where nobody knows yet. */
  etaMs: number | null
}

/** The job that came of a submission. */
export interface Accepted {
  /** As it is or, where the caller waits, once it is final or the time is over. */
  job: Job
  /** Null: it needs none, or that is not known any more. */
  turn: Turn | null
  /** Whether an earlier request with the same Idempotency-Key made it. */
  replayed: boolean
  /** Where its answer came from without being computed. */
  answeredFrom: 'memory' | 'redis' | null
}
