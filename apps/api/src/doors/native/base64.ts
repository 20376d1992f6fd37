/** What a base64 text holds, or what is wrong with it: where, and which character. */
export type Base64 = { bytes: Buffer } | { fault: string }

/**
 * Base64 as encoders write it: in one piece or in lines, in the standard or the URL-safe alphabet, with padding or
 * without. Everything else is a fault, for Node's decoder passes over what it does not know, and a mistyped or cut text
 * would become a broken image that fails long after it was accepted. A cut shows where the padding does not fit the
 * length, and where one character is left over.
 */
export function decodeBase64(text: string): Base64 {
  const plain = decodePlain(text)
  if (plain !== null) return { bytes: plain }
  const read = readCharacters(text)
  if ('fault' in read) return read
  const bytes = Buffer.from(text, 'base64')
  // Node's decoder skips white space and knows both alphabets.
  if (bytes.length !== Math.floor((read.digits * 3) / 4)) throw new Error('base64 was decoded to another length')
  return { bytes }
}

/** How many bytes a text would decode to, by its length; white space counted too only where that fits in `enough`. */
export function base64Bytes(text: string, enough: number): number {
  const most = Math.floor((text.length * 3) / 4)
  if (most <= enough) return most
  const read = readCharacters(text)
  return 'fault' in read ? 0 : Math.floor((read.digits * 3) / 4)
}

/**
 * Null unless the text is /^[A-Za-z0-9+/]+={0,2}$/ of a length that four divides, which most are. Node's decoder passes
 * over what it doesn't know, and that shows in the number of bytes; the rest it takes for base64 is looked for. A
 * regular expression over 5 MB stood still for 43 ms, this takes 3.
 */
function decodePlain(text: string): Buffer | null {
  if (text === '' || text.length % 4 !== 0) return null
  // Its low byte would be taken of a character beyond Latin-1, and the URL-safe alphabet is understood too.
  if (Buffer.byteLength(text) !== text.length || text.includes('-') || text.includes('_')) return null
  const bytes = Buffer.from(text, 'base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : null
}

const digit = 1
const lineBreak = 2
const blank = 3
const padding = 4
/** What each ASCII character is in base64; 0: nothing. */
const kinds = new Uint8Array(128)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_') {
  kinds[character.charCodeAt(0)] = digit
}
for (const character of '\r\n\f\v') kinds[character.charCodeAt(0)] = lineBreak
for (const character of ' \t') kinds[character.charCodeAt(0)] = blank
kinds['='.charCodeAt(0)] = padding

/** One pass over the characters: how many digits there are, or the first thing that is wrong. */
function readCharacters(text: string): { digits: number } | { fault: string } {
  let digits = 0
  let padded = 0
  let loneBlanks = false
  // The kind of the white space since the last digit.
  let space = 0
  for (let at = 0; at < text.length; at += 1) {
    const kind = kinds[text.charCodeAt(at)] ?? 0
    if (kind === digit) {
      if (padded > 0) return { fault: `character ${at + 1} comes after the padding` }
      if (space === blank && digits > 0) loneBlanks = true
      digits += 1
      space = 0
    } else if (kind === padding) padded += 1
    else if (kind === 0) return { fault: `character ${at + 1} is ${nameOf(text, at)}` }
    else if (space !== lineBreak) space = kind
  }
  if (digits === 0) return { fault: 'it is empty' }
  const fits = padded === 0 ? digits % 4 !== 1 : padded <= 2 && (digits + padded) % 4 === 0
  if (!fits) return { fault: `its ${digits} characters and ${padded} "=" fit no number of bytes, so it was cut` }
  // Where a + was read as a space on the way, leaving out the spaces would give another image.
  if (loneBlanks && (digits + padded) % 4 !== 0) {
    return { fault: 'it has spaces, which may have been "+", and no padding that would tell' }
  }
  return { digits }
}

function nameOf(text: string, at: number): string {
  const code = text.codePointAt(at) ?? 0
  return code > 0x20 && code < 0x7f
    ? JSON.stringify(String.fromCodePoint(code))
    : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}
