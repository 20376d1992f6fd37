import type { Priority } from '@vision-queue/protocol'
import type { z } from 'zod'

export type JsonValue = z.infer<z.ZodJSONSchema>

/** What a submission brings as its image. */
export type SubmittedImage =
  /** The file, not empty; nothing else is known of it. */
  | { kind: 'bytes'; bytes: Uint8Array }
  /** One that was uploaded before, or is said to have been. */
  | { kind: 'upload'; hash: string }
  /** Where to fetch it from; any text that begins like an address of the web. */
  | { kind: 'address'; address: string; field: string }

/** A submission as every content type gives it, its envelope valid; what the model takes is not checked yet. */
export interface ParsedSubmission {
  /** `name` or `name@version`; null where it was left out. */
  model: string | null
  /** The task's inputs without the image. */
  input: Record<string, JsonValue>
  /**
   * Where the inputs stood. In a form and in a query they are text and still need the types that the model's schema
   * asks for; in a query there may be names beside them that mean nothing to us.
   */
  inputFrom: 'json' | 'form' | 'query'
  image: SubmittedImage
  parameters: Record<string, JsonValue>
  metadata: Record<string, string> | null
  deadlineMs: number | null
  priority: Priority
  /** Whether an earlier answer will do. */
  cache: boolean
}

/** A submission and the names in its address' query, where those are not its inputs. */
export interface ReceivedSubmission extends ParsedSubmission {
  unreadQuery: readonly string[]
}

/** How large the parts of a submission may be, in bytes. */
export interface SubmissionLimits {
  maxImageBytes: number
  /** Text inputs, parameters and metadata together, as JSON. */
  maxInputBytes: number
  /** Whether an image may be given by its address. */
  fetchesImages: boolean
}
