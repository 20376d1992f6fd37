import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'

import { findAssets } from '@vision-queue/test-support/assets'
import { decodeImage, limitImageLibrary, type DecodedImage } from './image-preprocessing.ts'
import { preprocessorConfigSchema, toPreprocessing, type Preprocessing } from '@vision-queue/models'

beforeAll(limitImageLibrary)

function to(height: number, width: number, extras: object = {}): Preprocessing {
  const config = { size: { height, width }, do_normalize: false, resample: 0, ...extras }
  const preprocessing = toPreprocessing(preprocessorConfigSchema.parse(config))
  if (preprocessing === null) throw new Error('no size')
  return preprocessing
}

const decode = async (image: Uint8Array, preprocessing = to(4, 4)): Promise<DecodedImage> =>
  decodeImage(image, { preprocessing, maxPixels: 50_000_000 })

function pixel({ bytes, width }: DecodedImage, row: number, column: number): number[] {
  const from = (row * width + column) * 3
  return [...bytes.subarray(from, from + 3)]
}

/** The largest difference of a channel. */
function distance(actual: number[], expected: number[]): number {
  return Math.max(...expected.map((value, index) => Math.abs((actual[index] ?? NaN) - value)))
}

/** Left half red, right half blue, 8 high and 16 wide. */
const redAndBlue = sharp({ create: { width: 16, height: 8, channels: 3, background: '#ff0000' } }).composite([
  { input: { create: { width: 8, height: 8, channels: 3, background: '#0000ff' } }, left: 8, top: 0 },
])
const red = [255, 0, 0]
const blue = [0, 0, 255]
const white = [255, 255, 255]

describe('decoding', () => {
  it.each(['png', 'jpeg', 'webp'] as const)('keeps colours in their places (%s)', async (format) => {
    const image = await decode(await redAndBlue.clone().toFormat(format, { quality: 100 }).toBuffer(), to(2, 6))
    expect(image).toMatchObject({ height: 2, width: 6 })
    expect(distance(pixel(image, 0, 0), red)).toBeLessThan(5)
    expect(distance(pixel(image, 1, 1), red)).toBeLessThan(5)
    expect(distance(pixel(image, 1, 5), blue)).toBeLessThan(5)
  })

  it.each([
    [3, 'turned upside down', [blue, red, blue]],
    [6, 'turned right', [red, red, blue]],
    [8, 'turned left', [blue, blue, red]],
    [2, 'mirrored', [blue, red, blue]],
  ])('applies EXIF orientation %i (%s) before it resizes', async (orientation, _, [topLeft, topRight, bottomLeft]) => {
    const bytes = await redAndBlue.clone().withMetadata({ orientation }).jpeg({ quality: 100 }).toBuffer()
    const image = await decode(bytes)
    expect(distance(pixel(image, 0, 0), topLeft ?? [])).toBeLessThan(5)
    expect(distance(pixel(image, 0, 3), topRight ?? [])).toBeLessThan(5)
    expect(distance(pixel(image, 3, 0), bottomLeft ?? [])).toBeLessThan(5)
  })

  it('lays transparency on white, without a dark edge', async () => {
    const half = { r: 0, g: 0, b: 0, alpha: 0.5 }
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 4, background: half } })
      .png()
      .toBuffer()
    expect(distance(pixel(await decode(bytes), 0, 0), [127, 127, 127])).toBeLessThan(5)
    const clear = { r: 0, g: 0, b: 0, alpha: 0 }
    const nothing = await sharp({ create: { width: 8, height: 8, channels: 4, background: clear } })
      .webp()
      .toBuffer()
    expect(distance(pixel(await decode(nothing), 0, 0), white)).toBeLessThan(5)
  })

  it('makes RGB of grey, of 16 bits and of CMYK', async () => {
    const flat = (background: string) => sharp({ create: { width: 8, height: 8, channels: 3, background } })
    const grey = await flat('#808080').toColourspace('b-w').png().toBuffer()
    expect(distance(pixel(await decode(grey), 0, 0), [128, 128, 128])).toBeLessThan(5)
    const deep = await flat('#ff8000').toColourspace('rgb16').png().toBuffer()
    expect(await sharp(deep).metadata()).toMatchObject({ depth: 'ushort' })
    expect(distance(pixel(await decode(deep), 0, 0), [255, 128, 0])).toBeLessThan(5)
    const cmyk = await flat('#ff0000').toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer()
    expect(await sharp(cmyk).metadata()).toMatchObject({ space: 'cmyk' })
    // CMYK can't show pure red.
    const [r = 0, g = 0, b = 0] = pixel(await decode(cmyk), 0, 0)
    expect(r).toBeGreaterThan(200)
    expect(Math.max(g, b)).toBeLessThan(80)
  })

  it('keeps the proportions where only the shorter edge is given', async () => {
    const config = { size: { shortest_edge: 4 }, do_center_crop: true, crop_size: 4 }
    const image = await decode(await redAndBlue.clone().png().toBuffer(), to(4, 4, config))
    expect(image).toMatchObject({ height: 4, width: 8 })
  })

  it.each([
    [1, 16_000],
    [16_000, 1],
    [1, 101],
  ])('refuses a strip of %i x %i pixels where the proportions would be kept', async (width, height) => {
    const config = { size: { shortest_edge: 4 }, do_center_crop: true, crop_size: 4 }
    const strip = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
      .webp()
      .toBuffer()
    await expect(decode(strip, to(4, 4, config))).rejects.toMatchObject({ code: 'image_too_large' })
    expect(await decode(strip)).toMatchObject({ height: 4, width: 4 })
  })

  it('refuses an image of too many pixels by its header', async () => {
    const bytes = await sharp({ create: { width: 100, height: 101, channels: 3, background: '#fff' } })
      .png()
      .toBuffer()
    await expect(decodeImage(bytes, { preprocessing: to(4, 4), maxPixels: 10_000 })).rejects.toMatchObject({
      code: 'image_too_large',
      detail: 'The image has more than 10000 pixels.',
    })
  })

  it('refuses what is cut off anywhere, or is no image, in a sentence of our own', async () => {
    const bytes = await redAndBlue.clone().jpeg().toBuffer()
    for (const length of [0, 3, 100, Math.floor(bytes.length / 2), bytes.length - 2]) {
      await expect(decode(bytes.subarray(0, length))).rejects.toMatchObject({
        code: 'image_undecodable',
        detail: expect.stringMatching(/^The image is (broken or truncated|no JPEG, PNG or WebP)\.$/),
      })
    }
  })

  it('reads no other types than JPEG, PNG and WebP', async () => {
    for (const format of ['gif', 'tiff', 'avif'] as const) {
      const bytes = await redAndBlue.clone().toFormat(format).toBuffer()
      await expect(decode(bytes)).rejects.toMatchObject({ detail: 'The image is no JPEG, PNG or WebP.' })
    }
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    await expect(decode(svg)).rejects.toMatchObject({ code: 'image_undecodable' })
  })
})

const assets = findAssets()
describe.skipIf(assets === null)('real files (skipped where the assets folder is absent)', () => {
  const read = async (file: string): Promise<Uint8Array> => readFile(join(assets ?? '', file))

  it.each([
    ['corrupt-header.jpg', 'image_undecodable'],
    ['truncated.jpg', 'image_undecodable'],
    ['truncated.png', 'image_undecodable'],
    ['giant-image.jpg', 'image_too_large'],
    ['65536-uint32-limit.png', 'image_too_large'],
    ['circle.svg', 'image_undecodable'],
    ['pitm.avif', 'image_undecodable'],
    ['grey-plus-alpha.gif', 'image_undecodable'],
    ['8bit_depth.tiff', 'image_undecodable'],
    ['invalid-illuminant.icc', 'image_undecodable'],
  ])('refuses %s', async (file, code) => {
    await expect(decode(await read(`bad-images/${file}`))).rejects.toMatchObject({ code })
  })

  it.each([
    ['bad-images/Channel_digital_image_CMYK_color_no_profile.jpg', 500, 333],
    ['bad-images/16-bit-grey-alpha.png', 109, 96],
    ['bad-images/tbgn2c16.png', 32, 32],
    ['bad-images/full-transparent.png', 300, 300],
    ['bad-images/5_webp_a.webp', 300, 300],
    ['bad-images/Landscape_6.jpg', 600, 450],
    ['bad-images/Portrait_8.jpg', 450, 600],
    ['bad-images/rotating-squares.webp', 80, 80],
    ['bad-images/big-height.webp', 13, 169],
    ['images/concert.jpg', 400, 267],
    ['images/kitten_224.png', 224, 224],
    ['images/4.webp', 1024, 772],
  ])('decodes %s upright, as one frame of plain colours', async (file, width, height) => {
    const config = { size: { shortest_edge: 12 }, do_center_crop: true, crop_size: 12 }
    const image = await decode(await read(file), to(12, 12, config))
    expect(image.bytes.length).toBe(image.height * image.width * 3)
    expect(image.width / image.height).toBeCloseTo(width / height, 0)
    expect(Math.sign(image.width - image.height)).toBe(Math.sign(width - height))
  })

  it('turns the same photo upright from its orientations', async () => {
    const [upright, turned] = await Promise.all([
      decode(await read('images/Landscape_1.jpg'), to(8, 8, { resample: 2 })),
      decode(await read('bad-images/Landscape_6.jpg'), to(8, 8, { resample: 2 })),
    ])
    const difference = upright.bytes.reduce((sum, byte, index) => sum + Math.abs(byte - (turned.bytes[index] ?? 0)), 0)
    expect(difference / upright.bytes.length).toBeLessThan(8)
  })

  it('makes white of what is transparent', async () => {
    expect(distance(pixel(await decode(await read('bad-images/full-transparent.png')), 2, 2), white)).toBeLessThan(5)
  })
})
