import { z } from 'zod'

const traceparentPattern = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * The request that a job came with. It travels in the job, so that every process names the request in its log.
 * `traceparent` is as W3C Trace Context defines it; null: the request had none that is valid.
 */
export const requestContextSchema = z.object({
  requestId: z.string(),
  traceparent: z.string().regex(traceparentPattern).nullable(),
})
export type RequestContext = z.infer<typeof requestContextSchema>

/**
 * A `traceparent` header if it is valid in version 00 (W3C Trace Context, 3.2): lower case, and neither id all zeros.
 * Null for every other one, as the specification asks; it is not an error. `tracestate` is not kept.
 */
export function parseTraceparent(header: string | undefined): string | null {
  return header !== undefined && traceparentPattern.test(header) ? header : null
}

/** What every log line about a request has. */
export interface RequestFields {
  /** Null: a job of a release that did not keep it, or a job of which only the id is known. */
  request_id: string | null
  /** Of the request's `traceparent`; absent if the request had none. */
  trace_id?: string
}

/** What every log line about a job has. */
export interface JobFields extends RequestFields {
  job_id: string | undefined
}

/** The fields that name a request in the log. */
export function requestFields(context: RequestContext | null | undefined): RequestFields {
  if (!context) return { request_id: null }
  const traceId = traceparentPattern.exec(context.traceparent ?? '')?.[1]
  return { request_id: context.requestId, ...(traceId === undefined ? {} : { trace_id: traceId }) }
}

/** The fields that name a job and its request in the log. Every log line about a job, in every process, has them. */
export function jobFields(job: { id?: string | undefined; context?: RequestContext | null | undefined }): JobFields {
  return { job_id: job.id, ...requestFields(job.context) }
}

/** The request context in data that may be a job of any release; null: there is none in it. */
export function contextIn(data: unknown): RequestContext | null {
  return z.object({ context: requestContextSchema }).safeParse(data).data?.context ?? null
}
