import { VisionQueueError } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import { addText, type Form, isImageField, maxFormFields } from './form.ts'
import { percentDecode } from './percent.ts'

/** `application/x-www-form-urlencoded`, in UTF-8: a page's form without files, or `curl -d`; of its fields those that are wanted. An image is text. */
export function parseUrlencoded(body: Buffer, wants: (name: string) => boolean = () => true): Form {
  const form: Form = { texts: new Map(), images: [] }
  let fields = 0
  for (let at = 0; at <= body.length;) {
    const found = body.indexOf('&', at)
    const end = found === -1 ? body.length : found
    fields += 1
    if (fields > maxFormFields) {
      throw new VisionQueueError('payload_too_large', `A form may have at most ${maxFormFields} fields.`)
    }
    addField(form, body.subarray(at, end), wants)
    at = end + 1
  }
  return form
}

function addField(form: Form, field: Buffer, wants: (name: string) => boolean): void {
  const equals = field.indexOf('=')
  const name = decoded(equals === -1 ? field : field.subarray(0, equals), { field: '', plusIsSpace: true })
  if (!wants(name)) return
  const value = equals === -1 ? field.subarray(field.length) : field.subarray(equals + 1)
  if (!isImageField(name)) return addText(form, name, decoded(value, { field: name, plusIsSpace: true }))
  // Base64 that nobody encoded for a form has its + as it is; what was encoded shows it at its other characters.
  const encoded = ['%2b', '%2B', '%2f', '%2F', '%3d', '%3D'].some((escape) => value.includes(escape))
  const text = decoded(value, { field: name, plusIsSpace: encoded })
  if (text !== '') form.images.push({ field: name, content: text })
}

function decoded(bytes: Buffer, { field, plusIsSpace }: { field: string; plusIsSpace: boolean }): string {
  const plain = bytes.includes('%') || bytes.includes('+') ? percentDecode(bytes, { plusIsSpace }) : bytes
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(plain)
  } catch (cause) {
    throw refusal('invalid_request', [{ field, expected: 'text in UTF-8' }], cause)
  }
}
