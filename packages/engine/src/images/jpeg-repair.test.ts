import sharp, { type Sharp } from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'

import { jpegSegment, withSegments } from '../../test/containers.ts'
import { seededRandom } from '@vision-queue/test-support/seeded-random'
import { endOfImage, joinIntervals, makeRestartJpeg, restartMarker } from '../../test/restart-jpeg.ts'
import { type DecodedImage, decodeImage, limitImageLibrary } from './image-preprocessing.ts'

beforeAll(limitImageLibrary)

const preprocessing = { resize: { width: 16, height: 16, fit: 'fill' }, kernel: 'cubic' } as const
const decode = async (bytes: Uint8Array): Promise<DecodedImage> =>
  decodeImage(bytes, { preprocessing, maxPixels: 1e6, shrinkAbovePixels: 1e6 })
const broken = { code: 'image_undecodable', detail: 'The image is broken or truncated.' }

const random = seededRandom(4)
const greys = Array.from({ length: 20 }, () => Array.from({ length: 24 }, () => Math.floor(random() * 256)))
const made = makeRestartJpeg(greys)
const sound = joinIntervals(made)

describe('what libjpeg only complains of is read, and gives the pixels of the sound file', () => {
  it.each([
    ['one stray byte before a restart marker', joinIntervals(made, (row) => Buffer.alloc(row === 3 ? 1 : 0, 0x31))],
    ['a stray zero', joinIntervals(made, (row) => Buffer.alloc(row === 0 ? 1 : 0))],
    ['some before every marker', joinIntervals(made, (row) => Buffer.alloc(1 + (row % 5), 0xa7))],
    ['some before the end', joinIntervals(made, (row) => Buffer.alloc(row === 19 ? 40 : 0, 0x31))],
    ['fill bytes, which are allowed', joinIntervals(made, () => Buffer.alloc(3, 0xff))],
    ['bytes between two segments', Buffer.concat([sound.subarray(0, 20), Buffer.from([1, 2, 3]), sound.subarray(20)])],
    ['bytes behind the end', Buffer.concat([sound, Buffer.from('\r\n--boundary--')])],
    [
      "odd numbers in a scan's header",
      replaced(sound, Buffer.from([1, 1, 0, 0, 63, 0]), Buffer.from([1, 1, 0, 0, 0, 0])),
    ],
    ['an unknown revision of JFIF', replaced(sound, Buffer.from('JFIF\0\u0001'), Buffer.from('JFIF\0\u0007'))],
  ])('%s', async (_, bytes) => {
    expect((await decode(bytes)).bytes).toEqual((await decode(sound)).bytes)
  })

  it('in colour, with more blocks of light than of colour', async () => {
    const colour = makeRestartJpeg(greys, { chroma: true })
    const odd = joinIntervals(colour, (row) => Buffer.alloc(row % 3, 0x31))
    expect((await decode(odd)).bytes).toEqual((await decode(joinIntervals(colour))).bytes)
    const cut = colour.intervals.with(12, (colour.intervals[12] ?? Buffer.alloc(0)).subarray(0, 9))
    await expect(decode(joinIntervals({ ...colour, intervals: cut }, () => Buffer.from([1])))).rejects.toMatchObject(
      broken,
    )
  })

  it('in many at a time, beside broken ones', async () => {
    const odd = joinIntervals(made, (row) => Buffer.alloc(row === 3 ? 1 : 0, 0x31))
    const cut = Buffer.concat([odd.subarray(0, odd.length / 2), endOfImage])
    const fates = await Promise.all(
      Array.from({ length: 300 }, async (__, index) =>
        decode(index % 3 === 0 ? cut : odd).then(
          () => 'read',
          () => 'refused',
        ),
      ),
    )
    expect(fates).toEqual(fates.map((__, index) => (index % 3 === 0 ? 'refused' : 'read')))
  })

  it('an unknown transform in an Adobe marker', async () => {
    const picture = sharp({ create: { width: 64, height: 64, channels: 3, background: '#c86432' } })
    const jpeg = await picture.clone().jpeg().toBuffer()
    const adobe = jpegSegment(0xee, Buffer.from('Adobe\0\u0064\0\0\0\0\u0009', 'latin1'))
    expect((await decode(withSegments(jpeg, adobe))).bytes).toEqual((await decode(jpeg)).bytes)
  })
})

describe('what is missing is never filled with grey, whatever else there is to complain of', () => {
  const stray = Buffer.from([0x31])
  const cut = (interval: Buffer | undefined): Buffer => (interval ?? Buffer.alloc(0)).subarray(0, 9)
  it.each([
    ['an interval cut short', { ...made, intervals: made.intervals.with(12, cut(made.intervals[12])) }],
    ['the last interval cut short', { ...made, intervals: made.intervals.with(19, cut(made.intervals[19])) }],
    ['an interval missing', { ...made, intervals: made.intervals.toSpliced(12, 1) }],
    ['the last ten intervals missing', { ...made, intervals: made.intervals.slice(0, 10) }],
  ])('%s', async (_, parts) => {
    await expect(decode(joinIntervals(parts, (row) => (row === 0 ? stray : Buffer.alloc(0))))).rejects.toMatchObject(
      broken,
    )
  })

  it('restart markers out of order', async () => {
    const pieces = made.intervals.flatMap((interval, row) => [
      interval,
      row === 0 ? stray : Buffer.alloc(0),
      row === 19 ? endOfImage : restartMarker(row === 9 ? 3 : row),
    ])
    await expect(decode(Buffer.concat([made.header, ...pieces]))).rejects.toMatchObject(broken)
  })

  it('a stray byte, and cut off anywhere', async () => {
    const odd = joinIntervals(made, (row) => (row === 0 ? stray : Buffer.alloc(0)))
    for (let percent = 30; percent < 100; percent += 5) {
      const head = odd.subarray(0, Math.floor((odd.length * percent) / 100))
      await expect(decode(head)).rejects.toMatchObject(broken)
      await expect(decode(Buffer.concat([head, endOfImage]))).rejects.toMatchObject(broken)
    }
  })
})

describe('a file that is cut off anywhere is refused', () => {
  it.each([
    ['baseline JPEG', async () => noisy().jpeg({ progressive: false }).toBuffer(), endJpeg],
    ['progressive JPEG', async () => noisy().jpeg({ progressive: true }).toBuffer(), endJpeg],
    ['CMYK JPEG', async () => noisy().toColourspace('cmyk').jpeg().toBuffer(), endJpeg],
    ['PNG', async () => noisy().png().toBuffer(), endPng],
    ['interlaced PNG', async () => noisy().png({ progressive: true }).toBuffer(), endPng],
    ['lossy WebP', async () => noisy().webp().toBuffer(), endWebp],
    ['lossless WebP', async () => noisy().webp({ lossless: true }).toBuffer(), endWebp],
  ])('%s, also if somebody wrote a proper end behind it', async (_, write, end) => {
    const whole = await write()
    await decode(whole)
    for (let percent = 5; percent < 100; percent += 5) {
      const head = whole.subarray(0, Math.floor((whole.length * percent) / 100))
      await expect(decode(head)).rejects.toMatchObject({ code: 'image_undecodable' })
      // Within its last row of blocks libvips doesn't look for an end that came too early.
      if (percent > 90 && end === endJpeg) continue
      await expect(decode(end(head))).rejects.toMatchObject({ code: 'image_undecodable' })
    }
  })
})

/** Pixels with something in them everywhere, so that every part of the file holds some. */
function noisy(): Sharp {
  const pixels = Buffer.from(Array.from({ length: 120 * 90 * 3 }, () => Math.floor(random() * 256)))
  return sharp(pixels, { raw: { width: 120, height: 90, channels: 3 } })
}

function replaced(file: Buffer, from: Buffer, to: Buffer): Buffer {
  const at = file.indexOf(from)
  return Buffer.concat([file.subarray(0, at), to, file.subarray(at + from.length)])
}

const endJpeg = (head: Buffer): Buffer => Buffer.concat([head, endOfImage])

const endPng = (head: Buffer): Buffer => Buffer.concat([head, Buffer.from('0000000049454e44ae426082', 'hex')])

/** Makes the lengths in the headers fit what is left. */
function endWebp(head: Buffer): Buffer {
  const even = Buffer.from(head.subarray(0, head.length - (head.length % 2)))
  if (even.length < 20) return even
  even.writeUInt32LE(even.length - 8, 4)
  even.writeUInt32LE(even.length - 20, 16)
  return even
}
