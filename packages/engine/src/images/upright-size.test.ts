import { orientationOf, uprightSizeOf } from '@vision-queue/image-header'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'

import {
  type ExifOptions,
  exifSegment,
  extendedWebp,
  jpegSegment,
  makeExif,
  pngChunk,
  riffChunk,
  withChunks,
  withMetadata,
  withSegments,
} from '../../test/containers.ts'

const size = { width: 30, height: 20 }
const picture = sharp({ create: { ...size, channels: 3, background: '#f00' } })
const jpeg = await picture.clone().jpeg().toBuffer()
const png = await picture.clone().png().toBuffer()
const webp = await picture.clone().webp().toBuffer()
const exif = makeExif({ orientation: 6 })
const upright = makeExif({ orientation: 1 })

const orientations = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((orientation) =>
  [jpeg, png, webp].map(
    (image, index) =>
      [
        `${['JPEG', 'PNG', 'WebP'][index]}, ${orientation}`,
        withMetadata(image, { ...size, exif: makeExif({ orientation }) }),
      ] as const,
  ),
)
const oddExif: [string, ExifOptions][] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13].map((type): [string, ExifOptions] => [
    `of type ${type}`,
    { orientation: 6, type },
  ]),
  ...[0, 9, 256, 65_535].map((orientation): [string, ExifOptions] => [`${orientation}`, { orientation }]),
  ['big-endian', { orientation: 8, littleEndian: false }],
  ['given twice', { orientation: 6, count: 2 }],
  ['given no times', { orientation: 6, count: 0 }],
  ['under another magic number', { orientation: 6, magic: 43 }],
]
const extended = { ...size, after: [riffChunk('EXIF', exif)] }
const places: [string, Buffer][] = [
  ['none', jpeg],
  [
    'XMP before EXIF',
    withSegments(jpeg, jpegSegment(0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0')), exifSegment(exif)),
  ],
  ['two, the first counts', withSegments(jpeg, exifSegment(exif), exifSegment(upright))],
  ['two, the first upright', withSegments(jpeg, exifSegment(upright), exifSegment(exif))],
  ['cut off within the directory', withSegments(jpeg, exifSegment(exif.subarray(0, 18)))],
  ['without a directory', withSegments(jpeg, exifSegment(exif.subarray(0, 8)))],
  ['in another segment', withSegments(jpeg, jpegSegment(0xe2, Buffer.concat([Buffer.from('Exif\0\0'), exif])))],
  ['in a second image', Buffer.concat([jpeg, withSegments(jpeg, exifSegment(exif))])],
  ['behind fill bytes', withSegments(jpeg, Buffer.alloc(5, 0xff), exifSegment(exif))],
  ['behind the pixels of a PNG', Buffer.concat([png.subarray(0, -12), pngChunk('eXIf', exif), png.subarray(-12)])],
  ["with JPEG's name in a PNG", withChunks(png, pngChunk('eXIf', Buffer.concat([Buffer.from('Exif\0\0'), exif])))],
  ['twice in a PNG', withChunks(png, pngChunk('eXIf', exif), pngChunk('eXIf', upright))],
  ['before the pixels of a WebP', extendedWebp(webp, { ...size, flags: 8, before: [riffChunk('EXIF', exif)] })],
  ['not announced by a WebP', extendedWebp(webp, { ...extended, flags: 0 })],
  ['behind the end of a WebP', Buffer.concat([extendedWebp(webp, { ...size, flags: 8 }), riffChunk('EXIF', exif)])],
  ["with JPEG's name in a WebP", withMetadata(webp, { ...size, exif: Buffer.concat([Buffer.from('Exif\0\0'), exif]) })],
  ['without an extended header', riffChunk('RIFF', Buffer.concat([webp.subarray(8), riffChunk('EXIF', exif)]))],
]

describe('the upright size is that of the image as the engines decode it', () => {
  it.each([
    ...orientations,
    ...oddExif.map(([name, options]) => [name, withMetadata(jpeg, { ...size, exif: makeExif(options) })] as const),
    ...places,
  ])('orientation %s', async (_, image) => {
    const { autoOrient, orientation = 1 } = await sharp(image).metadata()
    expect(uprightSizeOf(image)).toEqual({ width: autoOrient.width, height: autoOrient.height })
    expect(orientationOf(image)).toBe(orientation >= 1 && orientation <= 8 ? orientation : 1)
  })

  it('whatever is cut off or overwritten, it makes no exception', () => {
    for (const image of [jpeg, png, webp].map((plain) => withMetadata(plain, { ...size, exif }))) {
      for (let at = 0; at < Math.min(image.length, 400); at += 1) {
        expect(() => uprightSizeOf(image.subarray(0, at))).not.toThrow()
        const spoilt = Buffer.from(image)
        spoilt.subarray(at, at + 4).fill(at % 2 === 0 ? 0xff : 0)
        expect(() => uprightSizeOf(spoilt)).not.toThrow()
      }
    }
  })

  it('of millions of tiny segments only some are looked at', () => {
    const tiny = Buffer.concat([
      Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 2]),
      Buffer.alloc(4_000_000, Buffer.from([0xff, 0xe0, 0, 2])),
    ])
    const startedAt = performance.now()
    expect(orientationOf(tiny)).toBe(1)
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})
