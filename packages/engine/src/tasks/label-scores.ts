import type { Candidate } from './box-overlap.ts'

/** A label by its place in the list, and how likely it is. */
export type Scored = Pick<Candidate, 'label' | 'score'>

/** One logit to a probability. */
export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit))
}

/** Each label by itself. Throws where a logit is no number, as the others here do. */
export function sigmoids(logits: ArrayLike<number>): Scored[] {
  return Array.from(logits, (logit, label) => ({ label, score: checked(sigmoid(logit)) }))
}

/** Logits to probabilities that add up to 1. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits)
  // The largest logit is taken off first, or exp() overflows.
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const weights = values.map((value) => Math.exp(value - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => checked(weight / sum))
}

/** The likeliest of the first `count` labels; none where there are none. */
export function bestOf(scores: ArrayLike<number>, count = scores.length): Scored[] {
  let best = 0
  for (let label = 0; label < count; label += 1) {
    checked(scores[label] ?? NaN)
    if ((scores[label] ?? 0) > (scores[best] ?? 0)) best = label
  }
  return count === 0 ? [] : [{ label: best, score: Math.min(1, Math.max(0, scores[best] ?? 0)) }]
}

function checked(score: number): number {
  if (Number.isNaN(score)) throw new Error('a logit is not a number')
  return score
}
