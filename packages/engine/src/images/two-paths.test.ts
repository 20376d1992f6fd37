import sharp, { type Sharp } from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'

import {
  exifSegment,
  iccpChunk,
  jpegSegment,
  makeExif,
  pngChunk,
  profileSegments,
  withChunks,
  withMetadata,
  withSegments,
} from '../../test/containers.ts'
import { curves, makeProfile, primaries, toSrgb } from '../../test/icc-profiles.ts'
import { makeOddImages } from '../../test/odd-images.ts'
import { type DecodedImage, decodeImage, limitImageLibrary } from './image-preprocessing.ts'

beforeAll(limitImageLibrary)

const odd = await makeOddImages()
const preprocessing = { resize: { width: 8, height: 8, fit: 'fill' }, kernel: 'cubic' } as const

/** By the path that reads the image whole, and by the one that shrinks it while reading where that is possible. */
async function byBothPaths(bytes: Uint8Array): Promise<[DecodedImage, DecodedImage]> {
  const decode = async (shrinkAbovePixels: number): Promise<DecodedImage> =>
    decodeImage(bytes, { preprocessing, maxPixels: 1e6, shrinkAbovePixels })
  return Promise.all([decode(1e6), decode(0)])
}

/** The largest difference of any channel. */
const difference = (actual: ArrayLike<number>, expected: ArrayLike<number>): number =>
  Math.max(...Array.from(expected, (value, index) => Math.abs((actual[index] ?? NaN) - value)))

/** In the middle of the four areas. */
const areasOf = ({ bytes }: DecodedImage): number[][] =>
  [1 * 8 + 1, 1 * 8 + 6, 6 * 8 + 1, 6 * 8 + 6].map((pixel) => Array.from(bytes.subarray(pixel * 3, pixel * 3 + 3)))

describe(`colours are right by both paths, in ${odd.length} images of every colour type, container and profile`, () => {
  it('are at least 200', () => {
    expect(odd.length).toBeGreaterThanOrEqual(200)
  })

  it.each(odd)('$name', async ({ bytes, expected }) => {
    const [whole, shrunk] = await byBothPaths(bytes)
    for (const [place, colour] of expected.entries()) {
      expect(difference(areasOf(whole)[place] ?? [], colour)).toBeLessThanOrEqual(6)
      expect(difference(areasOf(shrunk)[place] ?? [], colour)).toBeLessThanOrEqual(6)
    }
  })
})

describe('where the profile stands', () => {
  const size = { width: 96, height: 64 }
  const picture = (): Sharp => sharp({ create: { ...size, channels: 3, background: '#c86432' } })
  const stored = [200, 100, 50]
  const curve = curves.srgbParametric
  const p3 = makeProfile({ space: 'RGB ', name: 'sRGB', primaries: primaries.p3, curve })
  const asP3 = toSrgb(stored, { primaries: primaries.p3, curve })
  const srgb = makeProfile({ space: 'RGB ' })
  const jpeg = async (): Promise<Buffer> => picture().jpeg({ quality: 98, chromaSubsampling: '4:4:4' }).toBuffer()
  const png = async (): Promise<Buffer> => picture().png().toBuffer()

  /** By how much any area of any path is off. */
  async function errorOf(bytes: Buffer, expected: readonly number[]): Promise<number> {
    const areas = (await byBothPaths(bytes)).flatMap(areasOf)
    return Math.max(...areas.map((area) => difference(area, expected)))
  }

  it('pieces in several APP2 segments, in any order, with others between them', async () => {
    const pieces = profileSegments(p3, 100)
    expect(pieces.length).toBeGreaterThan(4)
    const other = jpegSegment(0xe2, Buffer.from('MPF\0II*\0'))
    expect(await errorOf(withSegments(await jpeg(), ...pieces), asP3)).toBeLessThanOrEqual(4)
    expect(await errorOf(withSegments(await jpeg(), ...pieces.toReversed()), asP3)).toBeLessThanOrEqual(4)
    expect(
      await errorOf(withSegments(await jpeg(), ...pieces.flatMap((piece) => [other, piece])), asP3),
    ).toBeLessThanOrEqual(4)
  })

  it("a thumbnail in EXIF has its own, which is not the image's", async () => {
    const thumbnail = withSegments(await picture().resize(16).jpeg().toBuffer(), ...profileSegments(srgb))
    const exif = exifSegment(Buffer.concat([makeExif({ orientation: 1 }), thumbnail]))
    expect(await errorOf(withSegments(await jpeg(), exif, ...profileSegments(p3)), asP3)).toBeLessThanOrEqual(4)
    const wide = withSegments(await picture().resize(16).jpeg().toBuffer(), ...profileSegments(p3))
    const exifWithWide = exifSegment(Buffer.concat([makeExif({ orientation: 1 }), wide]))
    expect(await errorOf(withSegments(await jpeg(), exifWithWide), stored)).toBeLessThanOrEqual(4)
  })

  it('nor has a second image behind the first', async () => {
    const second = withSegments(await jpeg(), ...profileSegments(p3))
    expect(await errorOf(Buffer.concat([await jpeg(), second]), stored)).toBeLessThanOrEqual(4)
    expect(
      await errorOf(Buffer.concat([withSegments(await jpeg(), ...profileSegments(p3)), await jpeg()]), asP3),
    ).toBeLessThanOrEqual(4)
  })

  it("PNG's sRGB, gAMA and cHRM chunks change nothing, as with PIL", async () => {
    const gama = pngChunk('gAMA', Buffer.from([0, 1, 0x86, 0xa0]))
    expect(await errorOf(withChunks(await png(), gama), stored)).toBeLessThanOrEqual(4)
    expect(
      await errorOf(withChunks(await png(), pngChunk('sRGB', Buffer.from([0])), gama), stored),
    ).toBeLessThanOrEqual(4)
    expect(await errorOf(withChunks(await png(), gama, iccpChunk(p3)), asP3)).toBeLessThanOrEqual(4)
  })

  it('a profile in an animated WebP', async () => {
    const frames = await sharp(Buffer.alloc(96 * 64 * 2 * 3, Buffer.from(stored)), {
      raw: { width: 96, height: 128, channels: 3, pageHeight: 64 },
    })
      .webp({ loop: 0, delay: [50, 50], quality: 100 })
      .toBuffer()
    expect(await errorOf(withMetadata(frames, size), stored)).toBeLessThanOrEqual(4)
    expect(await errorOf(withMetadata(frames, { ...size, profile: p3 }), asP3)).toBeLessThanOrEqual(4)
  })

  it('CMYK with its own, with one of RGB, with a broken one and without', async () => {
    const cmyk = await picture().toColourspace('cmyk').jpeg({ quality: 98 }).toBuffer()
    const own = makeProfile({ space: 'CMYK', table: true })
    const [plain, ...others] = await Promise.all(
      [undefined, srgb, own.subarray(0, 200), own].map(async (profile) => {
        const [whole, shrunk] = await byBothPaths(withMetadata(cmyk, { ...size, profile }))
        expect(difference(shrunk.bytes, whole.bytes)).toBeLessThanOrEqual(2)
        return whole
      }),
    )
    // CMYK can't show every colour of RGB.
    expect(
      difference(areasOf(plain ?? { bytes: new Uint8Array(), width: 0, height: 0 })[0] ?? [], stored),
    ).toBeLessThan(30)
    const [withRgb, withBroken, withOwn] = others
    expect(difference(withRgb?.bytes ?? [], plain?.bytes ?? [])).toBeLessThan(30)
    expect(difference(withBroken?.bytes ?? [], plain?.bytes ?? [])).toBeLessThan(30)
    // Its own says that all is grey.
    const [red = 0, green = 0, blue = 0] = withOwn?.bytes ?? []
    expect(Math.max(red, green, blue) - Math.min(red, green, blue)).toBeLessThanOrEqual(4)
  })
})
