import { describe, expect, it } from 'vitest'

import { likeliestToken, nthHighest, randomAt, sampleToken, type SamplingOptions } from './sampling.ts'
import { readLogprobs } from './token-logprobs.ts'

const plain: SamplingOptions = { temperature: 1, topP: 1, topK: 0, minP: 0, seed: 3, logprobs: null }
const probabilities = [0.02, 0.4, 0.05, 0.3, 0.2, 0.03]
const scores = Float32Array.from(probabilities, (probability) => Math.log(probability))

/** How often each token comes up in so many draws, as a part of all. */
function parts(options: Partial<SamplingOptions>, of = scores, draws = 4000): number[] {
  const counts = Array.from(of, () => 0)
  for (let step = 0; step < draws; step += 1) {
    const token = sampleToken(of, { ...plain, ...options }, step)
    counts[token] = (counts[token] ?? 0) + 1
  }
  return counts.map((count) => count / draws)
}
const close = (expected: readonly number[]): unknown[] => expected.map((part) => expect.closeTo(part, 1))
const kept = (options: Partial<SamplingOptions>): number[] =>
  parts(options).flatMap((part, token) => (part > 0 ? [token] : []))

describe('sampling', () => {
  it('draws tokens as often as they are likely, and hotter ones more alike', () => {
    expect(parts({})).toEqual(close(probabilities))
    const roots = probabilities.map(Math.sqrt)
    const sum = roots.reduce((a, b) => a + b)
    expect(parts({ temperature: 2 })).toEqual(close(roots.map((root) => root / sum)))
    expect(parts({ temperature: 2 })[0]).toBeGreaterThan((parts({})[0] ?? 1) * 2)
  })

  it.each([
    [{ topK: 2 }, [1, 3]],
    [{ topP: 0.5 }, [1, 3]],
    [{ topP: 0.39 }, [1]],
    [{ topP: 0.91 }, [1, 2, 3, 4]],
    [{ minP: 0.4 }, [1, 3, 4]],
    [{ topK: 3, topP: 0.9, minP: 0.6 }, [1, 3]],
    // Top-p is of what top-k left: 0.4 of 0.7 are less than 0.6 of them.
    [{ topK: 2, topP: 0.5 }, [1]],
    [{ temperature: 0, topP: 0.1 }, [1]],
  ])('keeps by %j the tokens %j', (options, tokens) => {
    expect(kept(options)).toEqual(tokens)
  })

  it('sorts no more of a large vocabulary than it needs to, and finds the same', () => {
    const flat = Float32Array.from({ length: 5000 }, (_, token) => Math.sin(token) / 10)
    const byTopP = new Set(Array.from({ length: 500 }, (_, step) => sampleToken(flat, { ...plain, topP: 0.01 }, step)))
    const order = [...flat.keys()].toSorted((a, b) => (flat[b] ?? 0) - (flat[a] ?? 0))
    const weights = order.map((token) => Math.exp(flat[token] ?? 0))
    const total = weights.reduce((a, b) => a + b)
    let sum = 0
    const count = weights.findIndex((weight) => (sum += weight) >= 0.01 * total) + 1
    expect(order.slice(0, count)).toEqual(expect.arrayContaining([...byTopP]))
    expect(byTopP.size).toBeGreaterThan(count / 2)
  })

  it('never draws what is ruled out', () => {
    const ruled = scores.with(1, -Infinity)
    for (const options of [{}, { topK: 6 }, { topP: 0.9999 }, { minP: 0.0001 }, { temperature: 5 }]) {
      expect(parts(options, ruled)[1]).toBe(0)
    }
    expect(() => sampleToken(new Float32Array(3).fill(-Infinity), plain, 0)).toThrow('ruled out')
    expect(() => likeliestToken(Float32Array.of(1, NaN, 2))).toThrow('not a number')
  })

  it('depends on seed and step alone: SplitMix64, whose first number of seed 0 is known', () => {
    expect(randomAt(0, 0)).toBe(Number(0xe220_a839_7b1d_cdafn >> 11n) / 2 ** 53)
    expect(randomAt(2 ** 53 - 1, 5)).toBe(randomAt(2 ** 53 - 1, 5))
    const draws = Array.from({ length: 1000 }, (_, step) => randomAt(7, step))
    expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true)
    expect(draws.reduce((a, b) => a + b) / 1000).toBeCloseTo(0.5, 1)
    expect(new Set([...draws, ...draws.map((_, step) => randomAt(8, step))]).size).toBe(2000)
  })

  it('finds the nth highest score', () => {
    const row = Float32Array.from({ length: 300 }, (_, at) => Math.sin(at * 7))
    const sorted = row.toSorted((a, b) => b - a)
    for (const place of [1, 2, 17, 299, 300]) expect(nthHighest(row, place)).toBe(sorted[place - 1])
  })
})

it('logprobs are of the scores as the model gave them, with the likeliest beside', () => {
  const read = readLogprobs(
    scores.map((score) => score + 3),
    2,
  )
  const { logprob, alternatives } = read(4)
  expect(Math.exp(logprob)).toBeCloseTo(0.2, 5)
  expect(alternatives.map(({ token }) => token)).toEqual([1, 3])
  expect(Math.exp(alternatives[0]?.logprob ?? 0)).toBeCloseTo(0.4, 5)
})
