import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { decodeImage } from './images/image-preprocessing.ts'
import { createPixelWriter, pixelDims, tensorSize, type PixelLayout } from './images/pixel-writer.ts'
import { preprocessorConfigSchema, toPreprocessing } from '@vision-queue/models'

/** Written by test/golden/make-pixels.py. */
const goldenSchema = z.object({
  cases: z
    .array(
      z.object({
        picture: z.string(),
        config: preprocessorConfigSchema,
        channels: z.enum(['RGB', 'BGR', 'L']),
        height: z.int(),
        width: z.int(),
        pixels: z.array(z.int()).min(1),
      }),
    )
    .min(40),
})
const root = new URL('../../../', import.meta.url)
const file = new URL('../test/golden/pixels.json', import.meta.url)
const { cases } = goldenSchema.parse(JSON.parse(await readFile(file, 'utf8')))

/**
 * In levels of 255: the mean difference of all values, and the largest. PIL and libvips share the
 * filters; libvips shrinks by whole factors first and rounds in between. Measured: at most 0.83 and 10.
 */
const tolerance = { mean: 1, largest: 12 }

async function difference(
  { picture, config, channels, pixels, ...size }: (typeof cases)[number],
  shrinkAbovePixels: number,
) {
  const preprocessing = toPreprocessing(config)
  if (preprocessing === null) throw new Error('no size')
  const image = await readFile(fileURLToPath(new URL(picture, root)))
  const decoded = await decodeImage(image, { preprocessing, maxPixels: 1e7, shrinkAbovePixels })
  const layout: PixelLayout = { layout: 'NHWC', channels, type: 'float32' }
  expect(tensorSize(preprocessing, decoded)).toEqual(size)
  expect(preprocessing.isBgr).toBe(channels === 'BGR')
  const target = new Float32Array(pixelDims(layout, size).reduce((a, b) => a * b))
  createPixelWriter(preprocessing, layout)(target, 0, decoded)
  expect(target).toHaveLength(pixels.length)
  const differences = [...target].map((value, index) => Math.abs(value - (pixels[index] ?? NaN)))
  return {
    mean: differences.reduce((a, b) => a + b, 0) / pixels.length,
    largest: Math.max(...differences),
  }
}

const named = cases.map((golden) => [`${golden.picture}, ${JSON.stringify(golden.config)}`, golden] as const)

describe('pixels are those that PIL makes of the same picture', () => {
  it.each(named)('%s', async (_, golden) => {
    const { mean, largest } = await difference(golden, 1e6)
    expect(mean).toBeLessThanOrEqual(tolerance.mean)
    // Nearest keeps single pixels, where two JPEG decoders differ most: at the edges of colours.
    const isNearest = golden.config.resample === 0
    const jpeg = golden.picture.endsWith('.jpg')
    expect(largest).toBeLessThanOrEqual(isNearest ? (jpeg ? 60 : 1) : tolerance.largest)
  })

  it.each(named.filter(([, { config }]) => config.resample !== 0))(
    'nearly so when shrunk while read: %s',
    async (_, golden) => {
      const { mean, largest } = await difference(golden, 0)
      expect(mean).toBeLessThanOrEqual(tolerance.mean)
      expect(largest).toBeLessThanOrEqual(2 * tolerance.largest)
    },
  )
})
