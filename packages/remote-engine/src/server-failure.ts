import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { HttpAnswer } from './http-server.ts'
import { NoRoomError } from './remote-server.ts'

const mostErrorBytes = 64 * 1024
const mostMessageCharacters = 500

const messageSchema = z.looseObject({
  message: z.string().optional(),
  code: z.json().optional(),
  type: z.json().optional(),
})
/** The forms of error bodies: OpenAI's, the flat one of vLLM before, Ollama's and Triton's own, FastAPI's, problem documents. */
const bodySchema = z.looseObject({
  error: z.union([z.string(), messageSchema]).optional(),
  message: z.string().optional(),
  detail: z.union([z.string(), z.array(z.looseObject({ msg: z.string().optional() }))]).optional(),
  code: z.json().optional(),
  type: z.json().optional(),
})

/** What a server says of a failure. */
export interface Complaint {
  /** Empty where it says nothing. */
  message: string
  /** By the server's own names, such as `rate_limit_exceeded`, in small letters. */
  names: string[]
}

/** Reads the error of an answer or of an event in a stream. */
export function readComplaint(text: string): Complaint {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { message: /^\s*</.test(text) ? '' : text.trim(), names: [] }
  }
  const parsed = bodySchema.safeParse(json)
  if (!parsed.success) return { message: '', names: [] }
  const { error, message, detail } = parsed.data
  const inner = typeof error === 'object' ? error : parsed.data
  const details = typeof detail === 'string' ? detail : detail?.flatMap(({ msg }) => msg ?? []).join('; ')
  return {
    message: (typeof error === 'string' ? error : (error?.message ?? message ?? details)) ?? '',
    names: [inner.code, inner.type].flatMap((name) =>
      typeof name === 'string' ? [name.toLowerCase()] : typeof name === 'number' ? [String(name)] : [],
    ),
  }
}

/** Names and words by which a 503 says that there is too much to do, and not that nobody is there. */
const roomNames = /^(queue_full|overloaded|rate_limited|quota_exceeded|rate_limit_exceeded|overloaded_error|slow_down)$/
const roomWords =
  /overload|busy|at capacity|capacity exceeded|too many|queue (is )?full|pending requests|no slots? available|exceeds maximum queue size/i

/**
 * What to make of an answer that is none: NoRoomError where the server has too much to do, `invalid_input` with its words
 * where it finds fault with the job, `model_unavailable` where it or its settings are at fault. `secrets` are blotted out.
 */
export async function failureOf(answer: HttpAnswer, secrets: readonly string[]): Promise<Error> {
  const complaint = readComplaint(await answer.text({ mostBytes: mostErrorBytes, cut: true }))
  const retryAfterMs = readRetryAfter(answer)
  return judge(answer.status, complaint, { retryAfterMs, secrets })
}

/** The same of an error that has come in a stream: its code is the status where it is a number. */
export function failureInStream(text: string, secrets: readonly string[]): Error {
  const complaint = readComplaint(text)
  const code = Number(complaint.names.find((name) => /^[45]\d\d$/.test(name)) ?? NaN)
  const status = Number.isNaN(code) ? (complaint.names.includes('invalid_request_error') ? 400 : 500) : code
  const failure = judge(status, complaint, { retryAfterMs: null, secrets })
  // It had been taken, and something may have been said.
  return failure instanceof NoRoomError ? unavailable(status, complaint, secrets) : failure
}

function judge(
  status: number,
  complaint: Complaint,
  { retryAfterMs, secrets }: { retryAfterMs: number | null; secrets: readonly string[] },
): Error {
  const { message, names } = complaint
  if (status === 429) return new NoRoomError(retryAfterMs)
  const isElsewhere = names.includes('model_unavailable') || names.includes('queue_unavailable')
  if (status === 503 && !isElsewhere) {
    const saysSo = names.some((name) => roomNames.test(name)) || roomWords.test(message)
    if (saysSo || retryAfterMs !== null) return new NoRoomError(retryAfterMs)
  }
  if (status >= 400 && status < 500 && ![401, 403, 404, 405, 408].includes(status)) {
    const words = said(message, secrets)
    return new VisionQueueError(
      'invalid_input',
      words === ''
        ? `The server of this model refuses the job (${status}).`
        : `The server of this model says: ${words}`,
    )
  }
  return unavailable(status, complaint, secrets)
}

/** The words are for the log: they may be about how the server is made. */
function unavailable(status: number, { message }: Complaint, secrets: readonly string[]): VisionQueueError {
  const why =
    status === 401 || status === 403 ? 'refuses its key' : status === 404 ? 'does not have the model' : 'has failed'
  const cause = new Error(`${status} ${said(message, secrets)}`)
  return new VisionQueueError('model_unavailable', `The server of this model ${why} (${status}).`, { cause })
}

/** A server's words, short and in one line, without what nobody is to know. */
function said(message: string, secrets: readonly string[]): string {
  let words = message.replaceAll(/\s+/g, ' ').trim()
  for (const secret of secrets) if (secret !== '') words = words.replaceAll(secret, '…')
  return words.length <= mostMessageCharacters ? words : `${words.slice(0, mostMessageCharacters)}…`
}

/** In milliseconds: OpenAI's header, or HTTP's in seconds or as a date; null: none that makes sense. */
function readRetryAfter({ headers }: HttpAnswer): number | null {
  const exact = Number(first(headers['retry-after-ms']) ?? NaN)
  if (exact >= 0) return exact
  const text = first(headers['retry-after'])
  if (text === undefined) return null
  const seconds = Number(text)
  if (seconds >= 0) return seconds * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now())
}

function first(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0]
}
