import sharp, { type Sharp } from 'sharp'
import { describe, expect, it } from 'vitest'

import { pngChunk, profileSegments, withChunks, withMetadata, withSegments } from '../../test/containers.ts'
import { curves, gamma, makeProfile, primaries } from '../../test/icc-profiles.ts'
import { coloursOf } from './colour-profile.ts'
import { isSrgbProfile } from './icc-profile.ts'

describe('a profile is sRGB by its primaries and curves', () => {
  it.each([
    ['version 2, a table', makeProfile({ space: 'RGB ', version: 2 })],
    ['version 4, parametric', makeProfile({ space: 'RGB ', curve: curves.srgbParametric })],
    ['version 4, parametric in full', makeProfile({ space: 'RGB ', curve: curves.srgbParametricFull })],
    ['under any name', makeProfile({ space: 'RGB ', name: 'c2' })],
  ])('%s', (_, profile) => {
    expect(isSrgbProfile(profile)).toBe(true)
  })

  it.each([
    ['linear', makeProfile({ space: 'RGB ', name: 'sRGB linear', curve: curves.identity })],
    ['gamma 1.0', makeProfile({ space: 'RGB ', name: 'sRGB', curve: gamma(1) })],
    ['gamma 2.2', makeProfile({ space: 'RGB ', name: 'sRGB', curve: gamma(2.2) })],
    ['Display P3', makeProfile({ space: 'RGB ', name: 'sRGB', primaries: primaries.p3 })],
    ['Adobe RGB', makeProfile({ space: 'RGB ', name: 'sRGB', primaries: primaries.adobe })],
    ['a table of colours', makeProfile({ space: 'RGB ', name: 'sRGB', table: true })],
    ['grey', makeProfile({ space: 'GRAY', name: 'sRGB' })],
    ['CMYK', makeProfile({ space: 'CMYK', name: 'sRGB', table: true })],
  ])('not %s, though it is called sRGB', (_, profile) => {
    expect(isSrgbProfile(profile)).toBe(false)
  })

  it('cut off or overwritten anywhere makes no exception', () => {
    for (const curve of [curves.srgbParametric, curves.srgbTable, gamma(2.2)]) {
      const profile = makeProfile({ space: 'RGB ', curve })
      for (let at = 0; at < Math.min(profile.length, 800); at += 1) {
        expect(() => isSrgbProfile(profile.subarray(0, at))).not.toThrow()
        const spoilt = Buffer.from(profile)
        spoilt.subarray(at, at + 8).fill(0xff)
        expect(() => isSrgbProfile(spoilt)).not.toThrow()
      }
    }
  })
})

describe('the colours of a file', () => {
  const size = { width: 8, height: 8 }
  const plain = (): Sharp => sharp({ create: { ...size, channels: 3, background: '#ff2010' } })
  const srgb = makeProfile({ space: 'RGB ' })

  it.each(['jpeg', 'png', 'webp'] as const)('are known from the header of a %s', async (format) => {
    const image = await plain().toFormat(format).toBuffer()
    expect(coloursOf(image)).toEqual({ kind: 'rgb', isMarkedSrgb: false })
    expect(coloursOf(withMetadata(image, { ...size, profile: srgb }))).toEqual({ kind: 'rgb', isMarkedSrgb: true })
    const wide = makeProfile({ space: 'RGB ', primaries: primaries.p3 })
    expect(coloursOf(withMetadata(image, { ...size, profile: wide }))).toEqual({ kind: 'rgb', isMarkedSrgb: false })
  })

  it.each([
    ['a grey JPEG', plain().toColourspace('b-w').jpeg(), 'grey'],
    ['a CMYK JPEG', plain().toColourspace('cmyk').jpeg(), 'cmyk'],
    ['a grey PNG', plain().toColourspace('b-w').png(), 'grey'],
    ['a grey PNG with transparency', plain().ensureAlpha(0.5).toColourspace('b-w').png(), 'grey'],
    ['a grey PNG of 16 bits', plain().toColourspace('grey16').png(), 'grey'],
    ['a PNG of 16 bits', plain().toColourspace('rgb16').png(), 'rgb'],
    ['a PNG with a palette', plain().png({ palette: true }), 'rgb'],
    ['a lossless WebP', plain().webp({ lossless: true }), 'rgb'],
  ] as const)('%s', async (_, image, kind) => {
    expect(coloursOf(await image.toBuffer()).kind).toBe(kind)
  })

  it('a profile whose pieces are not all there, or are there twice, is left to libvips', async () => {
    const jpeg = await plain().jpeg().toBuffer()
    const [first = Buffer.alloc(0), ...others] = profileSegments(srgb, 1000)
    expect(coloursOf(withSegments(jpeg, first, ...others)).isMarkedSrgb).toBe(true)
    expect(coloursOf(withSegments(jpeg, ...others)).isMarkedSrgb).toBe(false)
    expect(coloursOf(withSegments(jpeg, first, first, ...others)).isMarkedSrgb).toBe(false)
  })

  it("a PNG's profile that unpacks to more than a profile has is not unpacked", async () => {
    const bomb = Buffer.concat([srgb, Buffer.alloc(100_000)])
    const png = await plain().png().toBuffer()
    expect(coloursOf(withMetadata(png, { ...size, profile: bomb })).isMarkedSrgb).toBe(false)
    expect(coloursOf(withChunks(png, pngChunk('iCCP', Buffer.from('no end')))).isMarkedSrgb).toBe(false)
  })
})
