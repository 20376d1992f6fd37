import type { Size } from '@vision-queue/models'
import { describe, expect, it } from 'vitest'

import { clip, idefics, onevision, openPixels, qwen, rules, slopes } from '../../test/vision-preprocessing.ts'
import type { ImagePlan } from './image-plan.ts'

describe('a plan', () => {
  /** Of all proportions, and small ones beside large ones. */
  const sizes: Size[] = [1, 7, 28, 100, 384, 512, 1000, 2048, 5000].flatMap((height) =>
    [1, 10, 28, 336, 512, 1300, 5000].map((width) => ({ height, width })),
  )
  const bounds = [1, 800, 3136, 150_000, 512 * 512, 1_000_000, 1e9]
  const areaOf = ({ height, width }: Size): number => height * width
  /** By the encoder: of tiles each is seen whole, whatever lies on it. */
  const seenPixels = (plan: ImagePlan): number => (plan.rule === 'patches' ? areaOf(plan.used) : plan.pieces)
  const isStrip = ({ height, width }: Size, most: number): boolean =>
    Math.max(height, width) > most * Math.min(height, width)

  it.each(Object.entries(rules))('never has more of the image than the model takes by itself: %s', (name, config) => {
    const pixels = openPixels(config)
    for (const original of sizes) {
      if (isStrip(original, name === 'qwen' ? 200 : name === 'clip' ? 100 : Infinity)) continue
      const own = pixels.plan(original)
      expect(pixels.plan(original, { detail: 'auto' })).toEqual(own)
      expect(pixels.plan(original, { detail: 'high' })).toEqual(own)
      expect(pixels.plan(original, { maxPixels: 1e12 })).toEqual(own)
      for (const maxPixels of bounds) {
        const plan = pixels.plan(original, { maxPixels })
        expect(plan.pieces).toBeLessThanOrEqual(own.pieces)
        expect(seenPixels(plan)).toBeLessThanOrEqual(seenPixels(own))
        expect(plan.original).toEqual(original)
        expect(plan.downscaled).toBe(plan.used.height < original.height || plan.used.width < original.width)
      }
      const low = pixels.plan(original, { detail: 'low' })
      expect(low.pieces).toBe(1)
      expect(seenPixels(low)).toBeLessThanOrEqual(seenPixels(own))
    }
  })

  it.each([
    [512 * 512, idefics],
    [384 * 384, onevision],
    [28 * 28, qwen],
  ])('keeps to max_pixels down to the smallest size of the model, %d', (smallest, config) => {
    const pixels = openPixels(config)
    for (const original of sizes) {
      if (isStrip(original, 200)) continue
      for (const maxPixels of bounds) {
        const { used } = pixels.plan(original, { maxPixels })
        expect(areaOf(used)).toBeLessThanOrEqual(Math.max(smallest, maxPixels))
      }
    }
  })

  it('has another key wherever the pixels are others, and the same where they are the same', () => {
    const original = { height: 900, width: 1300 }
    for (const config of Object.values(rules)) {
      const pixels = openPixels(config)
      const plans = [
        {},
        { detail: 'low' as const },
        ...bounds.map((maxPixels) => ({ maxPixels })),
        { hasOthers: true },
      ].map((wanted) => pixels.plan(original, wanted))
      for (const one of plans) {
        for (const other of plans) expect(one.key === other.key).toBe(JSON.stringify(one) === JSON.stringify(other))
      }
    }
  })

  it("shows an image of LLaVA-OneVision's whole and uncut beside others, and cut alone", () => {
    const pixels = openPixels({ ...onevision, image_processor_type: 'LlavaOnevisionImageProcessor' })
    const original = { height: 300, width: 1100 }
    expect(pixels.plan(original)).toMatchObject({ rows: 1, columns: 3, pieces: 4, used: { width: 1152, height: 315 } })
    expect(pixels.plan(original, { hasOthers: true })).toMatchObject({
      rows: 0,
      columns: 0,
      used: { width: 384, height: 105 },
    })
  })

  it.each([
    ['more pixels than allowed', idefics, { height: 5000, width: 5000 }, 'image_too_large'],
    ['a strip that Qwen-VL refuses', qwen, { height: 1, width: 201 }, 'image_too_large'],
    ['a strip whose proportions are kept', clip, { height: 101, width: 1 }, 'image_too_large'],
  ])('is refused by the header alone for %s', async (_, config, size, code) => {
    const file = await slopes(size)
    // What follows the header can't be decoded.
    const header = Buffer.concat([file.subarray(0, 60), Buffer.alloc(50)])
    expect(() => openPixels(config).planOf(header)).toThrow(expect.objectContaining({ code }))
  })

  it('is refused for what is no image, and an image that is broken is refused when it is read', async () => {
    const pixels = openPixels(idefics)
    expect(() => pixels.planOf(Buffer.from('no image'))).toThrow(expect.objectContaining({ code: 'image_undecodable' }))
    const broken = (await slopes({ height: 90, width: 90 })).subarray(0, 200)
    await expect(pixels.read(broken, pixels.planOf(broken))).rejects.toMatchObject({ code: 'image_undecodable' })
  })
})
