import { VisionQueueError } from '@vision-queue/jobs'

import { refusal } from '../expectation.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseTextFields } from './text-fields.ts'

const maxParts = 256

/** `multipart/form-data`: the image is the file field `image`, everything else is text. */
export async function parseMultipartSubmission(
  body: Buffer,
  contentType: string,
  limits: SubmissionLimits,
): Promise<ParsedSubmission> {
  assertFewParts(body, contentType)
  const form = await parseForm(body, contentType)
  const texts = new Map<string, string[]>()
  const images: File[] = []
  for (const [name, value] of form.entries()) {
    if (typeof value === 'string') {
      if (name === 'image') throw refusal('invalid_request', [{ field: 'image', expected: 'a file, not text' }])
      texts.set(name, [...(texts.get(name) ?? []), value])
    } else if (name === 'image') images.push(value)
    else throw refusal('invalid_request', [{ field: name, expected: 'text; only "image" is a file' }])
  }
  const [image, ...more] = images
  if (image === undefined || image.size === 0 || more.length > 0) {
    throw refusal('invalid_request', [{ field: 'image', expected: 'one file that is not empty' }])
  }
  return { ...parseTextFields(texts, limits), image: new Uint8Array(await image.arrayBuffer()) }
}

/** Counted before parsing, which would block the event loop for a body of a million tiny parts. */
function assertFewParts(body: Buffer, contentType: string): void {
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const delimiter = `--${boundary?.[1] ?? boundary?.[2] ?? ''}`
  if (delimiter === '--') throw notMultipart()
  let parts = -1
  for (let at = body.indexOf(delimiter); at !== -1; at = body.indexOf(delimiter, at + delimiter.length)) {
    parts += 1
    if (parts > maxParts) {
      throw new VisionQueueError('payload_too_large', `A form may have at most ${maxParts} fields.`)
    }
  }
}

async function parseForm(body: Buffer, contentType: string): Promise<FormData> {
  try {
    return await new Response(body, { headers: { 'Content-Type': contentType } }).formData()
  } catch {
    throw notMultipart()
  }
}

function notMultipart(): VisionQueueError {
  return new VisionQueueError('invalid_request', 'The body is not the multipart/form-data that Content-Type announces.')
}
