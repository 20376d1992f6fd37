import { z } from 'zod'

/**
 * Every way something can go wrong, in one table: the HTTP status it is answered with, its title,
 * and whether sending the same again can help. Failures inside a job (`engine_crashed`, ...) have a
 * status too, for adapters that must answer a finished job with one.
 */
export const errorTable = {
  invalid_request: { status: 400, title: 'The request does not fit the schema', retryable: false },
  unauthorized: { status: 401, title: 'An API key is needed', retryable: false },
  forbidden: { status: 403, title: 'This key may not do that', retryable: false },
  not_found: { status: 404, title: 'There is nothing at this address', retryable: false },
  model_not_found: { status: 404, title: 'No such model', retryable: false },
  image_not_found: { status: 404, title: 'No such image', retryable: false },
  job_not_found: { status: 404, title: 'No such job', retryable: false },
  method_not_allowed: { status: 405, title: 'This address does not take that method', retryable: false },
  idempotency_in_flight: {
    status: 409,
    title: 'Another request with this Idempotency-Key is being served',
    retryable: true,
  },
  job_not_retryable: { status: 409, title: 'The job can not be run again', retryable: false },
  job_canceled: { status: 410, title: 'The job was canceled', retryable: false },
  request_timeout: { status: 408, title: 'The body took too long to arrive', retryable: true },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'This type is not taken', retryable: false },
  idempotency_conflict: {
    status: 422,
    title: 'This Idempotency-Key was used for another request',
    retryable: false,
  },
  invalid_input: { status: 422, title: 'The input is not what this model takes', retryable: false },
  image_too_large: { status: 422, title: 'The image has too many pixels', retryable: false },
  image_unreachable: { status: 422, title: 'The image could not be fetched', retryable: false },
  image_undecodable: { status: 422, title: 'The image is broken', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests with this key', retryable: true },
  quota_exceeded: { status: 429, title: 'This key has as much in the queue as it may', retryable: true },
  queue_full: { status: 429, title: 'Queue is full', retryable: true },
  deadline_unmeetable: { status: 429, title: 'The deadline would pass before the job had its turn', retryable: true },
  uploads_full: { status: 429, title: 'There is no room for more uploaded images', retryable: true },
  fetches_full: { status: 429, title: 'Too many images are being fetched', retryable: true },
  internal_error: { status: 500, title: 'Something went wrong here', retryable: true },
  engine_crashed: { status: 500, title: 'The engine died while it ran this job alone', retryable: false },
  inference_failed: { status: 500, title: 'The model failed on this input', retryable: false },
  payload_expired: { status: 500, title: 'The image had expired before the job ran', retryable: false },
  queue_unavailable: { status: 503, title: 'The queue is not available', retryable: true },
  overloaded: { status: 503, title: 'Too much is arriving at once', retryable: true },
  model_unavailable: { status: 503, title: 'The model is not available now', retryable: true },
  deadline_exceeded: { status: 504, title: 'The deadline passed before the job ran', retryable: true },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>

export type ErrorCode = keyof typeof errorTable

/** Whether it is a code of the table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code)
}

export const errorCodeSchema = z.string().refine(isErrorCode, 'a code of the error table')

/** One field of a request that is not as it should be. `field` is a dotted path, `''` the whole body. */
export const fieldErrorSchema = z.object({ field: z.string(), expected: z.string() })
export type FieldError = z.infer<typeof fieldErrorSchema>

/** The error of a job, as clients see it. */
export const jobErrorSchema = z.object({
  code: errorCodeSchema,
  message: z.string(),
  retryable: z.boolean(),
})
export type JobError = z.infer<typeof jobErrorSchema>

interface Extras {
  /** What really happened, for logs only; never sent to a client. */
  cause?: unknown
  fields?: readonly FieldError[]
  /** When trying again makes sense, in milliseconds. */
  retryAfterMs?: number
}

/**
 * The one error that crosses boundaries. `detail` is public: it says what was expected, and never
 * holds host names, stacks or another caller's data. The cause is for logs.
 */
export class VisionQueueError extends Error {
  readonly code: ErrorCode
  readonly detail: string
  readonly fields: readonly FieldError[]
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, detail: string, extras: Extras = {}) {
    super(`${code}: ${detail}`, extras.cause === undefined ? undefined : { cause: extras.cause })
    this.name = 'VisionQueueError'
    this.code = code
    this.detail = detail
    this.fields = extras.fields ?? []
    this.retryAfterMs = extras.retryAfterMs
  }

  toJobError(): JobError {
    return { code: this.code, message: this.detail, retryable: errorTable[this.code].retryable }
  }
}

/** Any thrown value as our error: an unknown one becomes `code` with a fixed sentence, its own message stays inside. */
export function toVisionQueueError(error: unknown, code: ErrorCode = 'internal_error'): VisionQueueError {
  if (error instanceof VisionQueueError) return error
  return new VisionQueueError(code, `${errorTable[code].title}.`, { cause: error })
}

/** An RFC 9457 problem document. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: errorCodeSchema,
  request_id: z.string(),
  retry_after_ms: z.int().optional(),
  errors: z.array(fieldErrorSchema).optional(),
})
export type Problem = z.infer<typeof problemSchema>

export function toProblem(error: VisionQueueError, requestId: string): Problem {
  const { status, title } = errorTable[error.code]
  return {
    type: `https://vision-queue.dev/errors/${error.code}`,
    title,
    status,
    detail: error.detail,
    code: error.code,
    request_id: requestId,
    ...(error.retryAfterMs === undefined ? {} : { retry_after_ms: Math.ceil(error.retryAfterMs) }),
    ...(error.fields.length === 0 ? {} : { errors: [...error.fields] }),
  }
}

/** Names of fields are the caller's words, and as long as a body may be: so much of them comes back. */
const maxFieldCharacters = 100
const maxFieldErrors = 20

/** zod's issues as our field errors: the path, and what was expected there; the first 20 of them. */
export function fieldErrors(error: z.ZodError, under = ''): FieldError[] {
  const errors: FieldError[] = []
  for (const issue of error.issues) {
    const path = [under, ...issue.path.map(String)].filter((part) => part !== '')
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : null
    if (unknown === null) errors.push({ field: fieldName(path), expected: issue.message })
    for (const key of unknown?.slice(0, maxFieldErrors) ?? []) {
      errors.push({ field: fieldName([...path, key]), expected: 'no field of this name' })
    }
    if (errors.length >= maxFieldErrors) break
  }
  return errors.slice(0, maxFieldErrors)
}

function fieldName(path: readonly string[]): string {
  const name = path.join('.')
  return name.length <= maxFieldCharacters ? name : `${name.slice(0, maxFieldCharacters)}…`
}

/** Field errors as one sentence, for a problem's detail. */
export function describeFields(fields: readonly FieldError[]): string {
  return `${fields.map(({ field, expected }) => `${field === '' ? 'the body' : field}: ${expected}`).join('; ')}.`
}
