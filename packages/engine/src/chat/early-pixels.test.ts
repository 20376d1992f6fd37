import { describe, expect, it } from 'vitest'

import { createEarlyPixels } from './early-pixels.ts'
import type { VisionImage } from './feature-cache.ts'
import type { VisionPiece } from './vision-encoder.ts'

function image(): VisionImage & { loads: () => number; encode: () => void } {
  let loads = 0
  const piece: VisionPiece = {
    async load() {
      loads += 1
      await Promise.resolve()
    },
    pixels: null,
    grid: null,
    tokens: null,
    features: null,
  }
  return {
    pieces: [piece],
    loads: () => loads,
    encode() {
      piece.features = new Float32Array(1)
    },
  }
}
const plan = { used: { width: 10, height: 10 } }

describe('images that are decoded before their turn', () => {
  it('are as many as there is room for; others wait for their turn', async () => {
    const early = createEarlyPixels(1300)
    const [one, two, three] = [image(), image(), image()]
    for (const each of [one, two, three]) await early.load(each, plan)
    expect([one.loads(), two.loads(), three.loads()]).toEqual([1, 1, 0])
    expect(early.bytes).toBe(1200)
    one.encode()
    await early.load(three, plan)
    expect(three.loads()).toBe(1)
    expect(early.bytes).toBe(1200)
  })
  it('count once, whoever asks about them', async () => {
    const early = createEarlyPixels(1300)
    const one = image()
    await early.load(one, plan)
    await early.load(one, plan)
    expect(early.bytes).toBe(600)
  })
  it('are none where they are encoded already', async () => {
    const early = createEarlyPixels(1300)
    const one = image()
    one.encode()
    await early.load(one, plan)
    expect(one.loads()).toBe(0)
    expect(early.bytes).toBe(0)
  })
})
