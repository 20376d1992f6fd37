import { VisionQueueError } from '@vision-queue/jobs'
import { describe, expect, test } from 'vitest'

import { jpegHeader, png, pngHeader, webpHeader } from '../test-support/images.ts'
import { decodeImageText, inspectImage } from './image.ts'

const limits = { maxImageBytes: 1_000_000, maxImagePixels: 1_000_000 }

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof VisionQueueError) return error.code
    throw error
  }
  return 'accepted'
}

describe('the type and size of an image are read from its own bytes', () => {
  test.each([
    ['image/png', pngHeader(640, 480)],
    ['image/jpeg', jpegHeader(640, 480)],
    ['image/webp', webpHeader(640, 480)],
  ])('%s', (type, bytes) => {
    expect(inspectImage(bytes, limits)).toMatchObject({ type, bytes: bytes.length })
    expect(codeOf(() => inspectImage(bytes, { ...limits, maxImagePixels: 640 * 480 }))).toBe('accepted')
    expect(codeOf(() => inspectImage(bytes, { ...limits, maxImagePixels: 640 * 480 - 1 }))).toBe('image_too_large')
  })

  test('a JPEG whose frame header comes after more than 64 KiB of metadata', () => {
    const photo = Buffer.concat([
      jpegHeader(1, 1, 60_000).subarray(0, 60_004),
      jpegHeader(2000, 2000, 60_000).subarray(2),
    ])
    expect(codeOf(() => inspectImage(photo, limits))).toBe('image_too_large')
  })

  test.each([
    ['GIF', Buffer.from('GIF89a\u0001\u0000\u0001\u0000', 'latin1')],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['one byte', Buffer.from([0xff])],
  ])('%s is an unsupported media type', (_, bytes) => {
    expect(codeOf(() => inspectImage(bytes, limits))).toBe('unsupported_media_type')
  })

  test.each([
    ['a PNG without its header chunk', png.subarray(0, 12)],
    ['a PNG without width', pngHeader(0, 10)],
    ['a JPEG that ends before its frame header', jpegHeader(10, 10).subarray(0, 22)],
    ['a WebP that ends before its dimensions', webpHeader(10, 10).subarray(0, 26)],
  ])('%s is undecodable', (_, bytes) => {
    expect(codeOf(() => inspectImage(bytes, limits))).toBe('image_undecodable')
  })

  test('one byte over the limit is too large a payload', () => {
    expect(codeOf(() => inspectImage(png, { ...limits, maxImageBytes: png.length }))).toBe('accepted')
    expect(codeOf(() => inspectImage(png, { ...limits, maxImageBytes: png.length - 1 }))).toBe('payload_too_large')
  })

  test('the hash is the SHA-256 of the bytes', () => {
    // By sha256sum.
    expect(inspectImage(png, limits).hash).toBe('c6ce2e21ce8ddbdb0cec4d89d21d146826e9b391059d9d6aa9722087310bfcc0')
  })
})

describe('base64 is strict', () => {
  test('plain and as a data URI gives the same bytes', () => {
    const base64 = png.toString('base64')
    expect(decodeImageText(base64, { field: 'input.image', maxImageBytes: 1000 })).toEqual(png)
    expect(decodeImageText(`data:image/png;base64,${base64}`, { field: 'input.image', maxImageBytes: 1000 })).toEqual(
      png,
    )
  })

  test.each([
    ['URL-safe characters', '_-_-'],
    ['a line break', `${'A'.repeat(76)}\n${'A'.repeat(75)}`],
    ['no padding', 'AAAAA'],
    ['padding in the middle', 'AA==AAAA'],
    ['padding alone', '===='],
    ['too much padding', 'A==='],
    ['a character that is none', 'AAA*'],
    ['a character beyond ASCII', 'AAA\u0141'],
    ['a space at the end', 'AAAA    '],
    ['a data URI without an image', 'data:image/png;base64,'],
    ['a data URI of text', 'data:text/plain;base64,AAAA'],
    ['a data URI that is not base64', 'data:image/svg+xml,%3Csvg/%3E'],
    ['an address', 'https://example.com/cat.jpg'],
  ])('%s is refused', (_, text) => {
    expect(codeOf(() => decodeImageText(text, { field: 'input.image', maxImageBytes: 1000 }))).toBe('invalid_request')
  })

  test('too much is refused undecoded', () => {
    expect(codeOf(() => decodeImageText('A'.repeat(1336), { field: 'input.image', maxImageBytes: 1000 }))).toBe(
      'accepted',
    )
    expect(codeOf(() => decodeImageText('A'.repeat(1340), { field: 'input.image', maxImageBytes: 1000 }))).toBe(
      'payload_too_large',
    )
  })

  test('exactly where the alphabet, the length and the padding are, whatever is mistyped', () => {
    const strict = /^[A-Za-z0-9+/]*={0,2}$/
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const odd = [
      '-',
      '_',
      '=',
      '==',
      ' ',
      '\n',
      '\r\n',
      '\0',
      '\u0080',
      '\u00ff',
      '\u0141',
      '\ud800',
      '*',
      'A',
      'AB',
      '/',
    ]
    const seen = { accepted: 0, invalid_request: 0 }
    for (let round = 0; round < 4000; round += 1) {
      const base64 = Buffer.from(Array.from({ length: 1 + random(60) }, () => random(256))).toString('base64')
      const at = random(base64.length + 1)
      const cut = random(5)
      const text =
        random(8) === 0 ? base64 : base64.slice(0, at) + (odd[random(odd.length)] ?? '') + base64.slice(at + cut)
      const expected = text.length % 4 === 0 && strict.test(text) ? 'accepted' : 'invalid_request'
      const code = codeOf(() => decodeImageText(text, { field: 'image', maxImageBytes: 1000 }))
      if (code !== expected) throw new Error(`${JSON.stringify(text)} is ${code}, not ${expected}`)
      seen[expected] += 1
    }
    expect(Math.min(seen.accepted, seen.invalid_request)).toBeGreaterThan(500)
  })
})
