import sharp from 'sharp'
import { describe, expect, it } from 'vitest'

import { isMarkedSrgb } from './colour-profile.ts'
import { decodeImage } from './image-preprocessing.ts'

const plain = sharp({ create: { width: 64, height: 64, channels: 3, background: '#ff2010' } })
const preprocessing = { resize: { width: 4, height: 4, fit: 'fill' }, kernel: 'cubic' } as const

describe.each(['jpeg', 'webp'] as const)('the profile of a %s', (format) => {
  it('is known for sRGB, in both spellings of its name', async () => {
    const image = await plain.clone().withIccProfile('srgb').toFormat(format).toBuffer()
    expect(isMarkedSrgb(image)).toBe(true)
    // sharp brings the fourth version, of two bytes a letter; the second writes one.
    const older = Buffer.from(image)
    older.write('sRGB\0\0\0\0', older.indexOf('\0s\0R\0G\0B', 0, 'latin1'), 'latin1')
    expect(isMarkedSrgb(older)).toBe(true)
  })

  it('is not taken for sRGB where there is none, or another', async () => {
    expect(isMarkedSrgb(await plain.clone().toFormat(format).toBuffer())).toBe(false)
    expect(isMarkedSrgb(await plain.clone().withIccProfile('p3').toFormat(format).toBuffer())).toBe(false)
  })

  it('cut off or overwritten anywhere makes no exception', async () => {
    const image = await plain.clone().withIccProfile('srgb').toFormat(format).toBuffer()
    for (let at = 0; at < Math.min(image.length, 700); at += 1) {
      expect(() => isMarkedSrgb(image.subarray(0, at))).not.toThrow()
      const spoilt = Buffer.from(image)
      spoilt.subarray(at, at + 8).fill(0xff)
      expect(() => isMarkedSrgb(spoilt)).not.toThrow()
    }
  })

  it('is applied where it is wider: the colours come out as they were meant', async () => {
    const image = await plain.clone().withIccProfile('p3').toFormat(format, { quality: 100 }).toBuffer()
    const stored = await sharp(image, { ignoreIcc: true }).raw().toBuffer()
    const { bytes } = await decodeImage(image, { preprocessing, maxPixels: 1e6 })
    const distance = (pixels: Uint8Array) =>
      Math.max(...[255, 32, 16].map((value, channel) => Math.abs((pixels[channel] ?? NaN) - value)))
    expect(distance(stored)).toBeGreaterThan(12)
    expect(distance(bytes)).toBeLessThan(8)
  })

  it('of sRGB changes nothing when left out', async () => {
    const image = await plain.clone().withIccProfile('srgb').toFormat(format, { quality: 100 }).toBuffer()
    const { bytes } = await decodeImage(image, { preprocessing, maxPixels: 1e6 })
    const applied = await sharp(image).resize({ width: 4, height: 4, kernel: 'cubic' }).raw().toBuffer()
    for (const [index, byte] of bytes.entries()) expect(Math.abs(byte - (applied[index] ?? NaN))).toBeLessThanOrEqual(1)
  })
})
