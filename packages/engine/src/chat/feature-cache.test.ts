import { describe, expect, it } from 'vitest'

import { createFeatureCache, type VisionImage } from './feature-cache.ts'
import type { VisionPiece } from './vision-encoder.ts'

function image(bytes: number): VisionImage & { piece: VisionPiece } {
  const piece: VisionPiece = {
    load: null,
    pixels: { dims: [bytes], type: 'float32', write() {}, mask: null },
    grid: null,
    tokens: null,
    features: null,
  }
  return { pieces: [piece], piece }
}
function encode({ piece }: { piece: VisionPiece }, bytes: number): void {
  piece.features = new Float32Array(bytes / 4)
  piece.pixels = null
}
const never = async (): Promise<VisionImage> => Promise.reject(new Error('read once more'))

describe('the cache of features', () => {
  it('reads an image once for all who ask for it meanwhile and later', async () => {
    const cache = createFeatureCache(10_000)
    const one = image(100)
    const [first, second] = await Promise.all([cache.get('a', async () => one), cache.get('a', never)])
    expect(first).toBe(one)
    expect(second).toBe(one)
    encode(one, 400)
    cache.recount()
    expect(await cache.get('a', never)).toBe(one)
    expect(cache.seen).toEqual({ known: 2, fresh: 1 })
  })
  it('counts what an image holds: pixels until it is encoded, features then', async () => {
    const cache = createFeatureCache(10_000)
    const one = image(1000)
    await cache.get('a', async () => one)
    expect(cache.bytes).toBe(1200)
    encode(one, 400)
    cache.recount()
    expect(cache.bytes).toBe(600)
  })
  it('lets go what was asked for longest ago', async () => {
    const cache = createFeatureCache(2000)
    const all = { a: image(500), b: image(500), c: image(500) }
    await cache.get('a', async () => all.a)
    await cache.get('b', async () => all.b)
    await cache.get('a', never)
    await cache.get('c', async () => all.c)
    expect(cache.bytes).toBeLessThanOrEqual(2000)
    expect(await cache.get('a', never)).toBe(all.a)
    await expect(cache.get('b', never)).rejects.toThrow('read once more')
  })
  it('keeps no image that is larger than all of it, and still gives it to whoever asks', async () => {
    const cache = createFeatureCache(1000)
    const large = image(5000)
    expect(await cache.get('a', async () => large)).toBe(large)
    expect(cache.bytes).toBe(0)
  })
  it('lets the next one try where a read failed', async () => {
    const cache = createFeatureCache(1000)
    await expect(cache.get('a', never)).rejects.toThrow('read once more')
    const one = image(10)
    expect(await cache.get('a', async () => one)).toBe(one)
  })
  it('of no bytes keeps nothing', async () => {
    const cache = createFeatureCache(0)
    await cache.get('a', async () => image(1))
    await expect(cache.get('a', never)).rejects.toThrow('read once more')
  })
})
