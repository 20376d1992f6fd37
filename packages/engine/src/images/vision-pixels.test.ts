import { preprocessorConfigSchema } from '@vision-queue/models'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'

import {
  idefics,
  images,
  limits,
  onevision,
  openPixels,
  plain,
  qwen,
  rows,
  rules,
  slopes,
} from '../../test/vision-preprocessing.ts'
import { fromHalf } from '../onnx/half-float.ts'
import type { PixelPiece } from './image-plan.ts'
import { limitImageLibrary } from './image-preprocessing.ts'
import { openVisionPixels } from './vision-pixels.ts'

beforeAll(limitImageLibrary)

function numbersOf(piece: PixelPiece): Float32Array {
  const target = new Float32Array(piece.dims.reduce((a, b) => a * b))
  piece.write(target, 0)
  return target
}

/** Channel, row and column of a tensor. */
const at = (
  { dims: [, height = 0, width = 0] }: PixelPiece,
  numbers: Float32Array,
  [c, y, x]: [number, number, number],
) => numbers[(c * height + y) * width + x] ?? NaN

describe('pieces', () => {
  it('come row by row, the whole image last or first', async () => {
    const file = await slopes({ height: 96, width: 64 })
    const small = { ...idefics, size: { longest_edge: 96 }, max_image_size: { longest_edge: 32 } }
    const split = openPixels(small)
    const plan = split.planOf(file)
    expect(plan).toMatchObject({ rows: 3, columns: 2, pieces: 7, used: { height: 96, width: 64 }, downscaled: false })
    const pieces = await split.read(file, plan)
    // Where each starts in the original: the first red and green of the slopes.
    const starts = pieces.map((piece) => [0, 1].map((channel) => at(piece, numbersOf(piece), [channel, 0, 0])))
    const places = [
      [0, 0],
      [32, 0],
      [0, 32],
      [32, 32],
      [0, 64],
      [32, 64],
    ]
    expect(starts.slice(0, 6)).toEqual(places.map(([x = 0, y = 0]) => [x * 4, Math.floor((y * 256) / 96)]))
    expect(starts[6]?.every((value) => value < 6)).toBe(true)

    const first = openPixels({
      size: 32,
      image_grid_pinpoints: [
        [96, 64],
        [64, 96],
      ],
      resample: 3,
    })
    const planned = first.planOf(file)
    expect(planned).toMatchObject({ rows: 3, columns: 2, pieces: 7 })
    const [whole, ...tiles] = await first.read(file, planned)
    expect(tiles.map(numbersOf)).toEqual(pieces.slice(0, 6).map(numbersOf))
    expect(whole?.dims).toEqual([3, 32, 32])
  })

  it("are upright, by the file's orientation", async () => {
    const size = { height: 40, width: 64 }
    const file = await slopes(size, 'jpeg')
    // 6: to be turned by a quarter clockwise.
    const turned = await sharp(file).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer()
    const pixels = openPixels({ ...qwen, patch_size: 4, min_pixels: 64, max_pixels: 4000 })
    const plan = pixels.planOf(turned)
    expect(plan).toMatchObject({ original: { height: 64, width: 40 }, grid: { time: 1, height: 16, width: 10 } })
    const [piece] = await pixels.read(turned, plan)
    const numbers = piece === undefined ? [] : numbersOf(piece)
    // What was at the bottom on the left is now at the top on the left: no red, much green.
    expect(numbers[0]).toBeLessThan(16)
    expect(numbers[2 * 16]).toBeGreaterThan(235)
  })

  it('are scaled and normalised, as halves where the graph takes these', async () => {
    const [mean, deviation] = [
      [0.5, 0.4, 0.3],
      [0.2, 0.3, 0.5],
    ]
    const numbers = { do_normalize: true, do_rescale: true, image_mean: mean, image_std: deviation }
    const file = await sharp({ create: { height: 28, width: 28, channels: 3, background: '#336699' } })
      .png()
      .toBuffer()
    const expected = [0x33, 0x66, 0x99].map(
      (byte, channel) => (byte / 255 - (mean[channel] ?? 0)) / (deviation[channel] ?? 1),
    )
    for (const config of Object.values({ ...rules, idefics: { ...idefics, size: { longest_edge: 1024 } } })) {
      const input = 'temporal_patch_size' in config ? rows : images
      for (const type of ['float32', 'float16'] as const) {
        const pixels = openPixels({ ...config, ...numbers }, { ...input, type })
        for (const piece of await pixels.read(file, pixels.planOf(file))) {
          expect(piece.type).toBe(type)
          const values = piece.dims.reduce((a, b) => a * b)
          const target = type === 'float32' ? new Float32Array(values) : new Uint16Array(values)
          piece.write(target, 0)
          // Of a patch each channel has all of its times together.
          const ofChannel = piece.dims.length === 2 ? 2 * 14 * 14 : values / 3
          for (const [channel, value] of expected.entries()) {
            const number = target[channel * ofChannel] ?? NaN
            expect(type === 'float32' ? number : fromHalf(number)).toBeCloseTo(value, 2)
            expect(target[channel * ofChannel + ofChannel - 1]).toBe(number)
          }
        }
      }
    }
  })

  it('of an image too large to be held are nearly those that it has when it is held', async () => {
    const [large, small] = await Promise.all([
      slopes({ height: 2100, width: 2050 }),
      slopes({ height: 2000, width: 1952 }),
    ])
    const pixels = openPixels({
      size: 24,
      image_grid_pinpoints: [
        [48, 48],
        [48, 24],
      ],
      resample: 3,
    })
    const [ofLarge, ofSmall] = await Promise.all(
      [large, small].map(async (file) =>
        (await pixels.read(file, pixels.planOf(file))).map((piece) => numbersOf(piece)),
      ),
    )
    expect(ofLarge).toHaveLength(5)
    for (const [index, numbers] of (ofLarge ?? []).entries()) {
      const differences = [...numbers].map((value, place) => Math.abs(value - (ofSmall?.[index]?.[place] ?? NaN)))
      expect(Math.max(...differences)).toBeLessThanOrEqual(3)
    }
  })
})

it.each([
  ['no preprocessing', null, images, 'preprocessor_config.json'],
  ['pixels of another type', idefics, { ...images, type: 'int64' }, 'pixels as float32, float16 or uint8'],
  [
    'tiles of another size',
    idefics,
    { ...images, dims: [null, 3, 384, 384] },
    'makes [any, 3, 512, 512], the graph takes [any, 3, 384, 384]',
  ],
  ['patches of another size', qwen, { ...rows, dims: [null, 1536] }, 'makes [any, 1176], the graph takes [any, 1536]'],
  ['patches for a graph of images', qwen, images, 'makes [any, 1176]'],
  ['images for a graph of patches', idefics, rows, 'makes [any, 3, 512, 512]'],
])('a folder is refused for %s', (_, config, input, complaint) => {
  const preprocessing = config === null ? null : preprocessorConfigSchema.parse({ ...plain, ...config })
  const folder = { name: 'seeing', version: '1', task: 'image-text-to-text', preprocessing }
  expect(() => openVisionPixels({ folder, ...limits }, input)).toThrow(
    expect.objectContaining({ code: 'model_unavailable', detail: expect.stringContaining(complaint) }),
  )
})

it.each([
  [{ ...idefics, max_image_size: undefined }, 'do_image_splitting: not supported without max_image_size'],
  [{ ...idefics, size: { height: 9, width: 9 } }, 'size: {longest_edge}'],
  [{ ...idefics, do_resize: false }, 'do_resize: needed on'],
  [
    { ...onevision, image_grid_pinpoints: [[384, 500]] },
    "image_grid_pinpoints: [height, width], both multiples of the tiles' 384",
  ],
  [{ ...onevision, image_grid_pinpoints: '(1x1),...,(6x6)' }, 'image_grid_pinpoints: a list of [height, width]'],
  [{ ...onevision, size: { height: 384, width: 300 } }, 'size: needed with image_grid_pinpoints'],
  [{ size: { shortest_edge: 3136, longest_edge: 12_845_056 } }, 'size: edges of 16384 pixels at most'],
  [{ size: 896, do_pan_and_scan: true }, 'do_pan_and_scan: not supported'],
])('fields that make no sense are refused by name: %j', (config, complaint) => {
  const parsed = preprocessorConfigSchema.safeParse({ ...plain, ...JSON.parse(JSON.stringify(config)) })
  const said = parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join(' ')
  expect(said).toContain(complaint)
})
