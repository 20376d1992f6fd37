import { z } from 'zod'

/** Where the service says that a job's time went, in milliseconds. */
export const jobTimesSchema = z.object({
  queue_ms: z.number(),
  preprocess_ms: z.number(),
  inference_ms: z.number(),
  batch_size: z.int(),
  total_ms: z.number(),
})
export type JobTimes = z.infer<typeof jobTimesSchema>

/** One request of a load. Times are milliseconds after the start of the measurement, negative during the warm-up. */
export const sampleSchema = z.object({
  label: z.string(),
  /** When it was to be sent; latency counts from here. */
  scheduledMs: z.number(),
  /** When it was sent: later where the generator itself was late. */
  sentMs: z.number(),
  doneMs: z.number(),
  /** 0: there was no answer. */
  status: z.int(),
  /** `succeeded`, or what it was instead: `unfinished`, the code of a problem or of the job's error, a network error's. */
  outcome: z.string(),
  /** Answered without a run of the model. */
  cached: z.boolean(),
  times: jobTimesSchema.nullable(),
  /** When a refusal advises to come again. */
  retryAfterMs: z.number().nullable(),
  /** `Server-Timing: total;dur=...`, where the service says it. */
  serverMs: z.number().nullable(),
})
export type Sample = z.infer<typeof sampleSchema>

/** What an answer says, in the terms of a sample. */
export type Answer = Pick<Sample, 'status' | 'outcome' | 'cached' | 'times' | 'retryAfterMs' | 'serverMs'>

const jobSchema = z.object({
  status: z.string(),
  cached: z.boolean().optional(),
  /** Of other shapes where no model ran. */
  metrics: jobTimesSchema.nullish().catch(null),
  error: z.object({ code: z.string() }).nullish(),
})
const problemSchema = z.object({ code: z.string(), retry_after_ms: z.number().optional() })

/** Reads an answer of `POST /jobs`. Whatever it is that is none of ours counts as `http_<status>`. */
export function readAnswer(status: number, serverTiming: string | undefined, body: string): Answer {
  const serverMs = Number(/\btotal;dur=([\d.]+)/.exec(serverTiming ?? '')?.[1] ?? Number.NaN)
  const answer = {
    status,
    outcome: `http_${status}`,
    cached: false,
    times: null,
    retryAfterMs: null,
    serverMs: Number.isFinite(serverMs) ? serverMs : null,
  }
  const json = parseJson(body)
  if (status >= 400) {
    const problem = problemSchema.safeParse(json)
    if (!problem.success) return answer
    return { ...answer, outcome: problem.data.code, retryAfterMs: problem.data.retry_after_ms ?? null }
  }
  const job = jobSchema.safeParse(json)
  if (!job.success) return answer
  const { status: state, cached = false, metrics = null, error } = job.data
  return { ...answer, outcome: outcomeOf(state, error?.code), cached, times: metrics }
}

/** The answer that did not come. */
export function noAnswer(error: Error): Answer {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { status: 0, outcome: code, cached: false, times: null, retryAfterMs: null, serverMs: null }
}

function outcomeOf(state: string, errorCode: string | undefined): string {
  if (state === 'queued' || state === 'running') return 'unfinished'
  return state === 'succeeded' ? state : (errorCode ?? state)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
