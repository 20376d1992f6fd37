import { hashOfImageId, imageIdSchema } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import { base64Bytes, decodeBase64 } from './base64.ts'
import { parseDataUri } from './data-uri.ts'
import { tooManyBytes } from '../../intake/image.ts'
import type { SubmittedImage } from '../../intake/submission.ts'
import type { SubmissionLimits } from './question.ts'

const expectedText = 'the image as base64 or as a data: URI'

/** What a text in `field` stands for: an upload's id, an address (where images are fetched), or the image itself. */
export function imageOfText(
  text: string,
  { field, ...limits }: Pick<SubmissionLimits, 'maxImageBytes' | 'fetchesImages'> & { field: string },
): SubmittedImage {
  const trimmed = text.trim()
  if (isLikeId(trimmed) && imageIdSchema.safeParse(trimmed).success) {
    return { kind: 'upload', hash: hashOfImageId(trimmed) }
  }
  if (limits.fetchesImages && isAddress(trimmed)) return { kind: 'address', address: trimmed, field }
  return { kind: 'bytes', bytes: decodeImageText(trimmed, { field, ...limits }) }
}

/** The bytes of an image that came as text in `field`. Throws `invalid_request`, `payload_too_large`. */
export function decodeImageText(
  text: string,
  { field, maxImageBytes }: { field: string; maxImageBytes: number },
): Uint8Array {
  const trimmed = text.trim()
  const refuse = (why: string): Error => refusal('invalid_request', [{ field, expected: `${expectedText}; ${why}` }])
  if (isAddress(trimmed)) throw refuse('addresses are not fetched here')
  // The URL-safe alphabet would make some bytes of it.
  if (isLikeId(trimmed)) {
    throw refuse(
      imageIdSchema.safeParse(trimmed).success
        ? 'the id of an uploaded image is not taken here'
        : 'an id of an uploaded image is img_ and 64 hexadecimal digits',
    )
  }
  const uri = parseDataUri(trimmed)
  if (uri?.kind === 'bytes') {
    if (uri.bytes.length > maxImageBytes) throw tooManyBytes(maxImageBytes)
    if (uri.bytes.length === 0) throw refuse('there is nothing after its comma')
    return uri.bytes
  }
  const base64 = uri?.text ?? trimmed
  // Checked before decoding.
  if (base64Bytes(base64, maxImageBytes) > maxImageBytes + 2) throw tooManyBytes(maxImageBytes)
  const decoded = decodeBase64(base64)
  if ('bytes' in decoded) return decoded.bytes
  throw refuse(uri === null ? decoded.fault : `after "base64,": ${decoded.fault}`)
}

/** What base64 of an image never begins with. */
function isLikeId(text: string): boolean {
  return text.startsWith('img_')
}

function isAddress(text: string): boolean {
  return /^https?:/i.test(text)
}
