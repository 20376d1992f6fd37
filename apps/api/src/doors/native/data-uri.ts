import { percentDecode } from './percent.ts'

/** What a `data:` URI (RFC 2397) holds; its type and its other parameters say nothing that the bytes don't. */
export type DataUri = { kind: 'base64'; text: string } | { kind: 'bytes'; bytes: Buffer }

/** No head is longer: a type, and parameters such as a file's name. */
const maxHead = 4096

/** Null where the text is no `data:` URI. One without a comma is one without data. */
export function parseDataUri(text: string): DataUri | null {
  if (!/^data:/i.test(text)) return null
  const comma = commaOf(text)
  const parameters = text
    .slice('data:'.length, comma)
    .split(';')
    .map((parameter) => parameter.trim().toLowerCase())
  const data = text.slice(comma + 1)
  if (!parameters.slice(1).includes('base64')) {
    return { kind: 'bytes', bytes: percentDecode(Buffer.from(data), { plusIsSpace: false }) }
  }
  if (!data.includes('%')) return { kind: 'base64', text: data }
  return { kind: 'base64', text: percentDecode(Buffer.from(data), { plusIsSpace: false }).toString() }
}

/** Where the head ends: at the first comma that is in no quotes, as in `name="a,b.png"`. */
function commaOf(text: string): number {
  let quoted = false
  for (let at = 0; at < Math.min(text.length, maxHead); at += 1) {
    const character = text[at]
    if (character === '"') quoted = !quoted
    else if (character === ',' && !quoted) return at
  }
  const first = text.indexOf(',')
  return first === -1 ? text.length : first
}
