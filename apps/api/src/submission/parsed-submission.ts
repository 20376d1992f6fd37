import type { z } from 'zod'

export type JsonValue = z.infer<z.ZodJSONSchema>

/** A submission as every content type gives it, its envelope valid; what the model takes is not checked yet. */
export interface ParsedSubmission {
  /** `name` or `name@version`; null where it was left out. */
  model: string | null
  /** The task's inputs without the image. */
  input: Record<string, JsonValue>
  /** Whether the inputs came as text (form fields, a query) and still need the types the model's schema asks for. */
  inputIsText: boolean
  /** The image file, not empty; nothing else is known of it. */
  image: Uint8Array
  parameters: Record<string, JsonValue>
  metadata: Record<string, string> | null
  deadlineMs: number | null
  /** Whether an earlier answer will do. */
  cache: boolean
}

/** How large the parts of a submission may be, in bytes. */
export interface SubmissionLimits {
  maxImageBytes: number
  /** Text inputs, parameters and metadata together, as JSON. */
  maxInputBytes: number
}
