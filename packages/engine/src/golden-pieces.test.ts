import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { preprocessorConfigSchema } from '@vision-queue/models'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import type { ImagePlan, PinpointsPlan } from './images/image-plan.ts'
import { decodeImage } from './images/image-preprocessing.ts'
import { keptFeatures } from './images/unpadded-features.ts'
import { openVisionPixels } from './images/vision-pixels.ts'

const size = z.object({ height: z.int(), width: z.int() })
const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'))
/** Written by test/golden/make-pieces.py. */
const goldenSchema = z.object({
  cases: z
    .array(
      z.object({
        picture: z.string(),
        config: z.looseObject({ image_processor_type: z.string() }),
        wanted: z.object({
          detail: z.literal('low').optional(),
          maxPixels: z.int().optional(),
          hasOthers: z.boolean().optional(),
        }),
        plan: z.object({
          used: size.optional(),
          rows: z.int().optional(),
          columns: z.int().optional(),
          grid: size.extend({ time: z.int() }).optional(),
        }),
        dims: z.array(z.int()),
        pieces: z.array(bytes).min(1),
        mask: bytes.nullable(),
      }),
    )
    .min(60),
  sizes: z
    .array(
      z.object({
        config: z.looseObject({ image_processor_type: z.string() }),
        /** Height, width, max_pixels, used height, used width, rows, columns. */
        plans: z.array(z.tuple([z.int(), z.int(), z.int().nullable(), z.int(), z.int(), z.int(), z.int()])).min(80),
      }),
    )
    .min(6),
  features: z
    .array(
      z.tuple([
        z.int(),
        z.int(),
        z.int().nullable(),
        z.tuple([z.int(), z.int(), z.int(), z.int(), z.tuple([z.int(), z.int()]).nullable()]),
      ]),
    )
    .min(80),
  enlarged: z.array(size.extend({ picture: z.string(), resample: z.literal([1, 2, 3]), pixels: bytes })).min(12),
})
const root = new URL('../../../', import.meta.url)
const golden = goldenSchema.parse(
  JSON.parse(await readFile(new URL('../test/golden/pieces.json', import.meta.url), 'utf8')),
)

function open(config: Record<string, unknown>) {
  const preprocessing = preprocessorConfigSchema.parse(config)
  const folder = { name: 'seeing', version: '1', task: 'image-text-to-text', preprocessing }
  const limits = { maxImagePixels: 1e7, shrinkAbovePixels: 1e6, heavyImageBytes: 1e6 }
  const dims = 'temporal_patch_size' in config ? [null, null] : [null, null, 3, null, null]
  return openVisionPixels({ folder, ...limits }, { type: 'float32', dims })
}

/**
 * In levels of 255. What is made larger is PIL's to the bit. Making smaller, libvips shrinks by whole factors first and rounds
 * in between, up to three times where tiles are resized more than once. Measured: at most 1.46, where an edge becomes a
 * twelfth, and 10.
 */
const tolerance = { mean: 1.5, largest: 12 }
const named = golden.cases.map(
  (one) => [`${one.picture} ${JSON.stringify(one.wanted)} ${JSON.stringify(one.config)}`, one] as const,
)

describe('pieces and plans are those that the original processors make of the same picture', () => {
  it.each(named)('%s', async (_, { picture, config, wanted, plan: expected, dims, pieces, mask }) => {
    const pixels = open(config)
    const file = await readFile(fileURLToPath(new URL(picture, root)))
    const plan = pixels.planOf(file, wanted)
    expect(plan).toMatchObject(expected)
    expect(plan.pieces).toBe(pieces.length)
    const read = await pixels.read(file, plan)
    expect(read).toHaveLength(pieces.length)
    const all: number[] = []
    for (const [index, piece] of read.entries()) {
      expect(piece.dims).toEqual(dims)
      expect(piece.mask === null ? null : Buffer.from(piece.mask)).toEqual(mask)
      const values = dims.reduce((a, b) => a * b)
      // Whatever was there before, and around it.
      const target = new Float32Array(values + 2).fill(-7)
      piece.write(target, 1)
      expect([target[0], target[values + 1]]).toEqual([-7, -7])
      expect(pieces[index]).toHaveLength(values)
      all.push(...Array.from(pieces[index] ?? [], (byte, at) => Math.abs(byte - (target[at + 1] ?? NaN))))
    }
    expect(all.reduce((a, b) => a + b, 0) / all.length).toBeLessThanOrEqual(tolerance.mean)
    expect(Math.max(...all)).toBeLessThanOrEqual(tolerance.largest)
  })
})

/** Rows and columns of tiles, or of patches. */
function gridOf(plan: ImagePlan): [number, number] {
  if (plan.rule === 'patches') return [plan.grid.height, plan.grid.width]
  return plan.rule === 'whole' ? [0, 0] : [plan.rows, plan.columns]
}

describe('of images of all sizes the plan has the sizes and tiles that the original processors choose', () => {
  it.each(golden.sizes)('$config', ({ config, plans }) => {
    const pixels = open(config)
    for (const [height, width, most, usedHeight, usedWidth, ...grid] of plans) {
      const plan = pixels.plan({ height, width }, { maxPixels: most ?? undefined })
      const found = [height, width, most, plan.used.height, plan.used.width, ...gridOf(plan)]
      expect(found).toEqual([height, width, most, usedHeight, usedWidth, ...grid])
    }
  })
})

it('the features that are left of tiles are those that the original cuts out of an array', () => {
  const resolutions = [1, 2, 3, 4, 5, 6].flatMap((row) => [1, 2, 3, 4, 5, 6].map((column) => [384 * row, 384 * column]))
  const pixels = open({
    image_processor_type: 'LlavaOnevisionImageProcessor',
    do_normalize: false,
    size: { height: 384, width: 384 },
    image_grid_pinpoints: resolutions,
  })
  const isTiled = (plan: ImagePlan): plan is PinpointsPlan => plan.rule === 'pinpoints'
  for (const [height, width, most, [top, left, keptHeight, keptWidth, resized]] of golden.features) {
    const plan = pixels.plan({ height, width })
    if (!isTiled(plan)) throw new Error('another rule')
    expect({ height, width, most, ...keptFeatures(plan, 27, most) }).toEqual({
      most,
      top,
      left,
      height: keptHeight,
      width: keptWidth,
      resized: resized === null ? null : { height: resized[0], width: resized[1] },
    })
  }
})

describe('what is made larger is what PIL makes of it, to the bit', () => {
  it.each(golden.enlarged)('$width x $height, filter $resample', async ({ picture, resample, pixels, ...to }) => {
    const kernel = ({ 1: 'lanczos3', 2: 'linear', 3: 'cubic' } as const)[resample]
    const preprocessing = { resize: { ...to, fit: 'fill' } as const, kernel }
    const image = await decodeImage(await readFile(fileURLToPath(new URL(picture, root))), {
      preprocessing,
      maxPixels: 1e6,
    })
    expect(image).toMatchObject(to)
    const differences = Array.from(pixels, (byte, at) => Math.abs(byte - (image.bytes[at] ?? NaN)))
    expect(differences).toHaveLength(to.width * to.height * 3)
    // An edge that becomes smaller meanwhile is libvips' work.
    expect(Math.max(...differences)).toBeLessThanOrEqual(to.width < 9 ? 3 : 0)
  })
})
