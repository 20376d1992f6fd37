import { homedir, hostname } from 'node:os'
import { fileURLToPath } from 'node:url'

import { finalJobSchema, jobResponseSchema, problemSchema } from '@vision-queue/protocol'

import type { Answer } from './http-message.ts'

/** What is wrong with an answer; an empty list where nothing is. `outcome` is what to count it under. */
export interface Verdict {
  outcome: string
  faults: string[]
  /** Where the answer accepted a job that is not final yet. */
  jobId: string | null
}

/** What no answer may hold: where we are, what we are made of, how we failed. */
const secrets: readonly (string | RegExp)[] = [
  ...[hostname(), homedir(), fileURLToPath(new URL('../../', import.meta.url))].filter((text) => text.length > 5),
  'node_modules',
  'file:///',
  'redis://',
  /\bat [^\n]{1,200}:\d+:\d+/,
  /\b(Syntax|Type|Range|Reference|Zod|Reply)Error\b/,
  /\bE(CONNREFUSED|CONNRESET|PIPE|NOENT|PERM)\b/,
  /\b(libvips|Vips[A-Z]|vips_|ioredis|bullmq|onnxruntime|OrtRun)/,
]

/** Headers that we send, and Node; any other would be somebody's injection. */
const knownHeaders = new Set([
  'allow',
  'cache-control',
  'connection',
  'content-length',
  'content-security-policy',
  'content-type',
  'date',
  'idempotent-replayed',
  'keep-alive',
  'location',
  'preference-applied',
  'retry-after',
  'server-timing',
  'transfer-encoding',
  'x-accel-buffering',
  'cross-origin-resource-policy',
  'referrer-policy',
  'x-content-type-options',
  'x-request-id',
])

/** Codes that a bad input may end a job with; any other says that something of ours broke. */
const jobCodes = new Set(['image_undecodable', 'image_too_large', 'invalid_input', 'deadline_exceeded'])

/** Judges an answer to a hostile request: a 4xx with a problem document, or a success of the right form; no secrets. */
export function judge(answer: Answer | null, { maybeSilent }: { maybeSilent: boolean }): Verdict {
  if (answer === null) return { outcome: 'no answer', faults: maybeSilent ? [] : ['no answer'], jobId: null }
  const { status, headers, body } = answer
  const faults = leaks(answer)
  for (const name of headers.keys()) if (!knownHeaders.has(name)) faults.push(`the header ${name}`)
  if (status >= 500) faults.push(`status ${status}`)
  if (status < 400) {
    const isSubmission = headers.get('server-timing') !== undefined
    if (!isSubmission) return { outcome: String(status), faults, jobId: null }
    const job = jobResponseSchema.safeParse(parseJson(body))
    if (!job.success) return { outcome: String(status), faults: [...faults, 'no job in the body'], jobId: null }
    if (job.data.completed_at === null) return { outcome: '202', faults, jobId: job.data.id }
    const ended = judgeJob(job.data)
    return { outcome: `${status} ${ended.outcome}`, faults: [...faults, ...ended.faults], jobId: null }
  }
  // A HEAD request's answer has none.
  if (body === '' && headers.get('content-type') === 'application/problem+json') {
    return { outcome: String(status), faults, jobId: null }
  }
  const problem = problemSchema.safeParse(parseJson(body))
  if (!problem.success) return { outcome: String(status), faults: [...faults, 'no problem document'], jobId: null }
  if (problem.data.status !== status) faults.push('the document has another status')
  if (problem.data.request_id !== headers.get('x-request-id')) faults.push('the document has another request id')
  if (body.length > 40_000) faults.push(`a problem document of ${body.length} characters`)
  return { outcome: `${status} ${problem.data.code}`, faults, jobId: null }
}

/** Judges how a job ended: an answer, or a failure by the input's fault. */
export function judgeJob(job: unknown): { outcome: string; faults: string[] } {
  const final = finalJobSchema.safeParse(job)
  if (!final.success) return { outcome: 'job without an end', faults: ['the job has no final state'] }
  const { status, error } = final.data
  if (error === null) return { outcome: `job ${status}`, faults: status === 'succeeded' ? [] : [`job ${status}`] }
  const faults = jobCodes.has(error.code) ? [] : [`the job failed as ${error.code}`]
  return { outcome: `job ${status} ${error.code}`, faults: [...faults, ...leaksOf(error.message)] }
}

function leaks({ headers, body }: Answer): string[] {
  // The documentation's page is a library's code, which may speak of such things.
  if (headers.get('content-type')?.startsWith('text/javascript') === true) return []
  return leaksOf(`${[...headers].flat().join('\n')}\n${body}`)
}

function leaksOf(text: string): string[] {
  return secrets
    .filter((secret) => (typeof secret === 'string' ? text.includes(secret) : secret.test(text)))
    .map((secret) => `tells ${String(secret)}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
