import { inputOfParts } from '@vision-queue/queue'
import { expect } from 'vitest'

import { png } from './images.ts'
import { startApi, type TestApi } from './start-api.ts'

/** A body, its type, and what goes with it. */
export type Sent = { type: string | null; body: string | Buffer; query?: string; headers?: Record<string, string> }

/** The image of these bodies, as base64. */
export const image = png.toString('base64')
/** What they ask. */
export const question = 'What colour is the circle?'
/** Between the parts of a form. */
export const boundary = 'XBOUNDARYX'
/** The end of a line in HTTP. */
export const crlf = '\r\n'
const latin1 = 'latin1'

/** Sends a body exactly as it is; `type` null: without a Content-Type. */
export async function send(
  api: TestApi,
  { type, body, query = '', headers = {} }: Sent,
  path = '/jobs',
): Promise<Response> {
  // A Blob without a type has fetch send no Content-Type.
  return fetch(`${api.url}${path}${query}`, {
    method: 'POST',
    headers: { ...headers, ...(type === null ? {} : { 'Content-Type': type }) },
    body: new Blob([typeof body === 'string' ? body : Uint8Array.from(body)]),
  })
}

/** A part of a form, exactly as it is to be written. */
export interface Part {
  name?: string
  /** What follows the name in Content-Disposition. */
  more?: string
  headers?: string[]
  content: string | Buffer
}

/** The image as a part of a form. */
export const file: Part = {
  name: 'image',
  more: '; filename="a.png"',
  headers: ['Content-Type: image/png'],
  content: png,
}
/** The question as a part of a form. */
export const asked: Part = { name: 'question', content: question }

/** A form of these parts; `frame` is what stands around them. */
export function form(
  parts: readonly Part[],
  frame: { before?: string; after?: string; padding?: string; line?: string } = {},
): Buffer {
  const { before = '', after = crlf, padding = '', line = crlf } = frame
  const written = parts.flatMap(({ name, more = '', headers = [], content }) => [
    `--${boundary}${padding}${line}`,
    ...(name === undefined ? [] : [`Content-Disposition: form-data; name="${name}"${more}${line}`]),
    ...headers.map((header) => `${header}${line}`),
    line,
    content,
    line,
  ])
  const pieces = [before, ...written, `--${boundary}--${padding}${after}`]
  return Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, latin1) : piece)))
}

/** The Content-Type of `form`. */
export const multipart = `multipart/form-data; boundary=${boundary}`
/** A whole submission as a form, and more parts. */
export const asForm = (...parts: Part[]): Sent => ({ type: multipart, body: form([asked, file, ...parts]) })
/** A whole submission as JSON, and more fields or others. */
export const asJson = (fields: object, type: string | null = 'application/json'): Sent => ({
  type,
  body: JSON.stringify({ input: { image, question }, ...fields }),
})
/** The same as text. */
export const json = JSON.stringify({ input: { image, question } })
/** A form without files, already encoded. */
export const asUrlencoded = (text: string): Sent => ({ type: 'application/x-www-form-urlencoded', body: text })
/** An image body, and the question in the query. */
export const asRaw = (type: string | null, query = `?question=${encodeURIComponent(question)}`): Sent => ({
  type,
  body: png,
  query,
})

/** The one job that came of it, without what differs from job to job. */
export async function jobOf(sent: Sent): Promise<Record<string, unknown>> {
  const api = await startApi()
  const response = await send(api, sent)
  expect([response.status, await response.text()]).toEqual([202, expect.any(String)])
  const [submitted] = api.jobs.submitted
  expect(Buffer.from(submitted?.image ?? [])).toEqual(png)
  if (submitted === undefined) throw new Error('nothing was submitted')
  const { model, parameters, metadata, cache, priority, createdAt, deadlineAt } = submitted.job
  return {
    model,
    input: inputOfParts(submitted.job),
    parameters,
    metadata,
    cache,
    priority,
    deadlineMs: deadlineAt === null ? null : deadlineAt - createdAt,
  }
}

/** What becomes of the question alone. */
export const plain = {
  model: 'shapes-vqa',
  input: { question },
  parameters: {},
  metadata: null,
  cache: false,
  priority: 'normal',
  deadlineMs: null,
}
