import sharp from 'sharp'
import { describe, expect, it } from 'vitest'

import { pngChunk } from '../../test/containers.ts'
import { createDeferred } from '@vision-queue/process'
import { createHeavyTurns, heldBytesOf } from './heavy-images.ts'

const mebibyte = 1024 * 1024

/** The header of a PNG of so many pixels on each side. */
function pngOf(edge: number, { depth = 16, colourType = 6, interlaced = true } = {}): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(edge, 0)
  header.writeUInt32BE(edge, 4)
  header.set([depth, colourType, 0, 0, interlaced ? 1 : 0], 8)
  return Buffer.concat([Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1'), pngChunk('IHDR', header)])
}

describe('what a decoder holds of an image', () => {
  const picture = sharp({ create: { width: 100, height: 50, channels: 3, background: '#888' } })
  it.each([
    ['a baseline JPEG', picture.clone().jpeg(), 0],
    ['a progressive JPEG', picture.clone().jpeg({ progressive: true }), 5000 * 6],
    ['a progressive CMYK JPEG', picture.clone().toColourspace('cmyk').jpeg({ progressive: true }), 5000 * 8],
    ['a PNG', picture.clone().png(), 0],
    ['an interlaced PNG', picture.clone().png({ progressive: true }), 5000 * 3],
    ['an interlaced PNG of 16 bits', picture.clone().toColourspace('rgb16').png({ progressive: true }), 5000 * 6],
    ['a lossy WebP', picture.clone().webp(), 0],
    ['a lossless WebP', picture.clone().webp({ lossless: true }), 5000 * 4],
  ])('%s', async (_, image, bytes) => {
    expect(heldBytesOf(await image.toBuffer())).toBe(bytes)
  })

  it('of what is no image, nothing', () => {
    expect(heldBytesOf(Buffer.from('no image'))).toBe(0)
  })
})

describe('heavy images', () => {
  const heavy = pngOf(7000)
  const light = pngOf(7000, { interlaced: false })

  it('are decoded one at a time, in order, while all others pass them', async () => {
    expect(heldBytesOf(heavy)).toBeGreaterThan(128 * mebibyte)
    const inTurn = createHeavyTurns()
    const begun: number[] = []
    const ends = [0, 1, 2].map(() => createDeferred<undefined>())
    const turns = ends.map(async ({ promise }, index) =>
      inTurn(heavy, async () => {
        begun.push(index)
        await promise
        return index
      }),
    )
    expect(await inTurn(light, async () => 'light')).toBe('light')
    expect(begun).toEqual([0])
    ends[0]?.resolve(undefined)
    expect(await turns[0]).toBe(0)
    expect(begun).toEqual([0, 1])
    ends[1]?.resolve(undefined)
    ends[2]?.resolve(undefined)
    expect(await Promise.all(turns)).toEqual([0, 1, 2])
  })

  it('are those above the limit that was set', async () => {
    const heldBytes = heldBytesOf(heavy)
    for (const [limit, together] of [
      [heldBytes, true],
      [heldBytes - 1, false],
    ] as const) {
      const inTurn = createHeavyTurns(limit)
      const first = createDeferred<undefined>()
      let begun = 0
      const decode = async (): Promise<void> => {
        begun += 1
        await first.promise
      }
      const turns = [inTurn(heavy, decode), inTurn(heavy, decode)]
      await new Promise((resolve) => setImmediate(resolve))
      expect([limit, begun]).toEqual([limit, together ? 2 : 1])
      first.resolve(undefined)
      await Promise.all(turns)
    }
  })

  it('that can not be decoded do not keep the next ones from it', async () => {
    const inTurn = createHeavyTurns()
    const failed = inTurn(heavy, async () => Promise.reject(new Error('broken')))
    const next = inTurn(heavy, async () => 'decoded')
    await expect(failed).rejects.toThrow('broken')
    expect(await next).toBe('decoded')
  })
})
