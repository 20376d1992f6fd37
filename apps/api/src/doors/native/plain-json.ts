import { isAscii } from 'node:buffer'

import { VisionQueueError } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import { jsonFault } from './json-fault.ts'

/** Beyond any model's input, and few enough that walking them takes no noticeable time. */
const maxValues = 16_384
const maxDepth = 32

/**
 * A JSON body, without its fields that are null: that is what clients write for a field that is not set, at any depth.
 * Parsing and validating block the event loop for as long as there are values, so a body
 * of a million small ones is refused by counting its separators before it is parsed; the one large
 * value a body may hold is its image, a single string.
 */
export function parseJsonBody(body: Uint8Array): unknown {
  let separators = 0
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  for (const separator of [',', '[', '{']) {
    for (let at = bytes.indexOf(separator); at !== -1; at = bytes.indexOf(separator, at + 1)) {
      separators += 1
      if (separators > maxValues) {
        throw new VisionQueueError('payload_too_large', `A JSON body may hold at most ${maxValues} values.`)
      }
    }
  }
  const value = parseText(decodeText(bytes))
  if (!nestsAtMost(value, maxDepth)) {
    throw new VisionQueueError('invalid_request', `A JSON body may be nested at most ${maxDepth} deep.`)
  }
  return withoutNulls(value)
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // Base64 that a shell put into a body has its line breaks as they are; as spaces they mean the same everywhere.
    if (error instanceof Error && error.message.startsWith('Bad control character')) return parseText(oneLine(text))
    throw new VisionQueueError('invalid_request', `The body is not valid JSON: ${jsonFault(text, error)}.`)
  }
}

function oneLine(text: string): string {
  // Control characters other than white space stay, and are refused.
  const line = text.replaceAll(/[\r\n\t]+/g, ' ')
  if (line === text)
    throw new VisionQueueError('invalid_request', 'The body is not valid JSON: it has a control character.')
  return line
}

/** Base64 and most other text is ASCII, which needs no decoder: of a body of 5 MB a fifth of the time. */
function decodeText(bytes: Buffer): string {
  if (isAscii(bytes) && bytes[1] !== 0) return bytes.toString('latin1')
  const start = bytes.subarray(0, 2).toString('latin1')
  if (start === '\u00ff\u00fe' || start === '\u00fe\u00ff' || start.includes('\0')) {
    throw new VisionQueueError('invalid_request', 'The body is JSON in UTF-16, where UTF-8 is expected.')
  }
  try {
    // A byte order mark is left out.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new VisionQueueError(
      'invalid_request',
      'The body is not valid JSON in UTF-8: it has bytes that are no UTF-8.',
      { cause },
    )
  }
}

/** JSON in a form field or a query parameter, without its fields that are null. */
export function parseJsonText(field: string, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    if (nestsAtMost(value, maxDepth)) return withoutNulls(value)
  } catch {
    // Answered below.
  }
  throw refusal('invalid_request', [{ field, expected: `an object as JSON text, nested at most ${maxDepth} deep` }])
}

/** Throws `payload_too_large` where what would travel in the queue is larger than `maxBytes` as JSON. */
export function assertInputFits(parts: object, maxBytes: number): void {
  if (Buffer.byteLength(JSON.stringify(parts)) > maxBytes) throw tooLargeInput(maxBytes)
}

/**
 * The same for texts that are not parsed yet, by their length alone: 20 MB of JSON in one form field took 12 s and
 * 800 MB of memory to parse and walk.
 */
export function assertTextsFit(texts: Iterable<string>, maxBytes: number): void {
  let characters = 0
  for (const text of texts) characters += text.length
  if (characters > maxBytes) throw tooLargeInput(maxBytes)
}

function tooLargeInput(maxBytes: number): VisionQueueError {
  return new VisionQueueError(
    'payload_too_large',
    `The inputs other than the image, the parameters and the metadata may take at most ${maxBytes} bytes as JSON.`,
  )
}

/** Level by level, so that no nesting can exhaust the stack. */
function nestsAtMost(value: unknown, depth: number): boolean {
  let level = [value]
  for (let left = depth; level.length > 0; left -= 1) {
    if (left < 0) return false
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return true
}

/** Items of a list stay, as each has its place there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value)
  return Object.fromEntries(fields.flatMap(([name, field]) => (field === null ? [] : [[name, withoutNulls(field)]])))
}
