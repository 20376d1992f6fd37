import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { decodeImageText, imageOfText } from './image-text.ts'

/** Bytes whose base64 has both characters in which the alphabets differ, and one character of padding. */
const bytes = Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 37 + 251) % 256))
const base64 = bytes.toString('base64')

function decode(text: string): Buffer {
  return Buffer.from(decodeImageText(text, { field: 'input.image', maxImageBytes: 1000 }))
}

function refusalOf(text: string): VisionQueueError {
  try {
    decode(text)
  } catch (error) {
    if (error instanceof VisionQueueError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** As encoders break it. */
function inLines(separator: string, length = 76): string {
  return base64.match(new RegExp(`.{1,${length}}`, 'g'))?.join(separator) ?? ''
}

test('the base64 of these tests has what they are about', () => {
  expect(base64).toMatch(/\+.*\/|\/.*\+/)
  expect(base64).toMatch(/[^=]=$/)
})

describe('base64 is taken as encoders write it', () => {
  test.each<[string, string]>([
    ['in one piece', base64],
    ['in lines, LF', inLines('\n')],
    ['in lines, CR LF, and one at the end', `${inLines('\r\n')}\r\n`],
    ['in lines of 64', inLines('\n', 64)],
    ['in lines that are indented', inLines('\n    ')],
    ['its lines joined by spaces', inLines(' ')],
    ['its lines joined by tabs', inLines('\t')],
    ['a line break within four characters', `${base64.slice(0, 5)}\n${base64.slice(5)}`],
    ['a line break before the padding', `${base64.slice(0, -1)}\r\n=`],
    ['white space around it', ` \n${base64}\n\t`],
    ['without padding', base64.slice(0, -1)],
    ['URL-safe', bytes.toString('base64url')],
    ['URL-safe with padding', `${bytes.toString('base64url')}=`],
    ['URL-safe in lines', inLines('\n').replaceAll('+', '-').replaceAll('/', '_')],
    ['both alphabets in one', base64.replace('+', '-')],
    ['a data: URI', `data:image/png;base64,${base64}`],
    ['with a charset', `data:image/jpeg;charset=utf-8;base64,${base64}`],
    ['with a name', `data:image/jpeg;name=cat.jpg;base64,${base64}`],
    ['with a name in quotes that has a comma', `data:image/jpeg;name="a,b;c.jpg";base64,${base64}`],
    ['of another type', `data:application/octet-stream;base64,${base64}`],
    ['of text', `data:text/plain;base64,${base64}`],
    ['of no type', `data:;base64,${base64}`],
    ['of a parameter alone', `data:;charset=utf-8;base64,${base64}`],
    ['in capitals', `DATA:IMAGE/PNG;BASE64,${base64}`],
    ['with spaces in its head', `data: image/png ; base64 , ${base64}`],
    ['with base64 before another parameter', `data:image/png;base64;charset=utf-8,${base64}`],
    ['with lines', `data:image/png;base64,${inLines('\r\n')}`],
    ['with escapes in its base64', `data:image/png;base64,${encodeURIComponent(base64)}`],
    ['URL-safe without padding', `data:image/png;base64,${bytes.toString('base64url')}`],
    ['percent-encoded', `data:image/png,${bytes.toString('hex').replaceAll(/../g, '%$&')}`],
    [
      'percent-encoded in capitals, without a type',
      `data:,${bytes.toString('hex').toUpperCase().replaceAll(/../g, '%$&')}`,
    ],
  ])('%s', (_, text) => {
    expect(decode(text)).toEqual(bytes)
  })

  test('percent-encoded data keeps what needs no encoding, a + too', () => {
    expect(decode('data:,a+b%20c%')).toEqual(Buffer.from('a+b c%'))
  })

  test('an id or an address may have a line break after it', () => {
    const options = { field: 'image', maxImageBytes: 1000, fetchesImages: true }
    expect(imageOfText(`img_${'a'.repeat(64)}\n`, options)).toEqual({ kind: 'upload', hash: 'a'.repeat(64) })
    expect(imageOfText(' https://example.com/a.jpg\n', options)).toMatchObject({
      kind: 'address',
      address: 'https://example.com/a.jpg',
    })
  })
})

describe('what is refused is told where it is wrong', () => {
  test.each<[string, string, string]>([
    ['cut, so that one character is left over', base64.slice(0, 41), '41 characters'],
    ['cut before its padding is whole', 'AA=', '2 characters and 1 "="'],
    ['cut in lines', inLines('\n').slice(0, 82), '81 characters'],
    ['too much padding', 'A===', 'fit no number of bytes'],
    ['padding alone', '====', 'empty'],
    ['padding in the middle', 'AA==AAAA', 'character 5 comes after the padding'],
    ['two in a row', `${base64}${base64}`, `character ${base64.length + 1} comes after the padding`],
    ['a character that is none', 'AAA*', 'character 4 is "*"'],
    ['a backslash and an n', 'AAAA\\nAAAA', 'character 5 is "\\\\"'],
    ['a quote', '"AAAA"', 'character 1 is "\\""'],
    ['a character beyond ASCII', 'AAA\u0141', 'character 4 is U+0141'],
    ['a character beyond 16 bits', 'AAAA\u{1f600}', 'character 5 is U+1F600'],
    ['half a surrogate pair', 'AAA\ud800', 'character 4 is U+D800'],
    ['a zero byte', 'AAA\0', 'character 4 is U+0000'],
    ['an ellipsis', 'AAAA...', 'character 5 is "."'],
    ['a data: URI cut', `data:image/png;base64,${base64.slice(0, 41)}`, 'after "base64,": its 41 characters'],
    ['a data: URI without data', 'data:image/png;base64,', 'after "base64,": it is empty'],
    ['a data: URI without a comma', 'data:image/png;base64', 'empty'],
    ['a data: URI of nothing', 'data:,', 'nothing after its comma'],
    // A form decoder on the way made spaces of them.
    ['spaces that were +', `${'AAAA'.repeat(8)} AA ${'A'.repeat(4)}`, 'may have been "+"'],
    ['an address', 'https://example.com/cat.jpg', 'addresses are not fetched'],
    ['an id that is none', 'img_abc', '64 hexadecimal digits'],
    ['nothing but white space', ' \n ', 'empty'],
  ])('%s', (_, text, why) => {
    const { code, fields } = refusalOf(text)
    expect(code).toBe('invalid_request')
    expect(fields).toEqual([{ field: 'input.image', expected: expect.stringContaining(why) }])
  })

  test('too much is refused undecoded, and white space is not counted', () => {
    const most = 'A'.repeat(1336)
    expect(decode(most).length).toBe(1002)
    expect(decode(most.replaceAll('AA', 'AA\n')).length).toBe(1002)
    for (const more of ['A'.repeat(1340), 'AAAA\n'.repeat(335), `data:,${'A'.repeat(1001)}`]) {
      expect(refusalOf(more).code).toBe('payload_too_large')
    }
  })
})

/** The rules once more, in regular expressions, which are too slow for large texts. */
function isBase64(text: string): boolean {
  const stripped = text.replaceAll(/[ \t\r\n\f\v]+/g, '')
  const [, digits = '', padding = ''] = /^([A-Za-z0-9+/_-]+)(=*)$/.exec(stripped) ?? []
  if (digits === '') return false
  const fits = padding === '' ? digits.length % 4 !== 1 : padding.length <= 2 && stripped.length % 4 === 0
  const blanks = /[^ \t\r\n\f\v=][ \t]+[^ \t\r\n\f\v=]/.test(text)
  return fits && (!blanks || stripped.length % 4 === 0)
}

test('exactly what these rules say, whatever is mistyped', () => {
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
    '\t',
  ]
  const seen = { accepted: 0, invalid_request: 0 }
  for (let round = 0; round < 6000; round += 1) {
    const sound = Buffer.from(Array.from({ length: 1 + random(60) }, () => random(256)))
    const written = sound.toString('base64')
    const at = random(written.length + 1)
    const text =
      random(8) === 0 ? written : written.slice(0, at) + (odd[random(odd.length)] ?? '') + written.slice(at + random(3))
    const expected = isBase64(text.trim()) ? 'accepted' : 'invalid_request'
    let code = 'accepted'
    try {
      decode(text)
    } catch (error) {
      code = error instanceof VisionQueueError ? error.code : String(error)
    }
    if (code !== expected) throw new Error(`${JSON.stringify(text)} is ${code}, not ${expected}`)
    seen[expected] += 1
  }
  expect(Math.min(seen.accepted, seen.invalid_request)).toBeGreaterThan(500)
})

test('a whole image comes out as it went in', () => {
  expect(decode(png.toString('base64'))).toEqual(png)
})

test('five million characters in lines take no time that grows with their square', () => {
  const lines = `${'A'.repeat(76)}\r\n`.repeat(70_000)
  const took = (text: string): number => {
    const startedAt = performance.now()
    decodeImageText(text, { field: 'image', maxImageBytes: 10_000_000 })
    return performance.now() - startedAt
  }
  took(lines.slice(0, 78 * 4000))
  // Sixteen times as much; its square would be 256 times.
  expect(took(lines)).toBeLessThan(64 * took(lines.slice(0, 78 * 4375)) + 50)
})
