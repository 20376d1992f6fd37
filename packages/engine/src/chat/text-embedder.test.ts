import { describe, expect, it } from 'vitest'

import { embedPrompt } from './text-embedder.ts'

/** An id's embedding is the id, twice. */
const embed = async (ids: readonly number[]): Promise<Float32Array> => Float32Array.from(ids.flatMap((id) => [id, id]))
const features = (...numbers: number[]): Float32Array =>
  Float32Array.from(numbers.flatMap((number) => [number, -number]))

describe('the embeddings of a prompt', () => {
  it('have the features of images in their places, whichever image they are of', async () => {
    const found = await embedPrompt([1, 9, 9, 2, 9], {
      embed,
      featureId: 9,
      features: [features(10, 11), features(12)],
    })
    expect([...found]).toEqual([1, 1, 10, -10, 11, -11, 2, 2, 12, -12])
  })
  it('never ask the table for the id that holds a place', async () => {
    const asked: number[] = []
    const watched = async (ids: readonly number[]): Promise<Float32Array> => {
      asked.push(...ids)
      return embed(ids)
    }
    await embedPrompt([1, 99_999], { embed: watched, featureId: 99_999, features: [features(5)] })
    expect(asked).toEqual([1, 0])
  })
  it.each([
    ['fewer', [features(1)]],
    ['more', [features(1, 2, 3)]],
    ['one image too many', [features(1, 2), features(3)]],
  ])('are refused for %s features than places', async (_, given) => {
    await expect(embedPrompt([9, 9], { embed, featureId: 9, features: given })).rejects.toThrow(/features/)
  })
})
