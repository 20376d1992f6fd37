import { sigmoid, softmax } from './label-scores.ts'

/** What makes scores of a model's output; `none`: they are probabilities already. */
export type Activation = 'softmax' | 'sigmoid' | 'none'

/**
 * The `count` labels of the highest logits with their scores, highest first; equal ones in the order of
 * the labels. Throws where a logit is no number: such a model's answer means nothing.
 */
export function topScores(
  logits: ArrayLike<number>,
  labels: readonly string[],
  count: number,
  activation: Activation = 'softmax',
): { label: string; score: number }[] {
  if (logits.length !== labels.length) throw new Error(`${logits.length} logits for ${labels.length} labels`)
  const scores = activate(Array.from(logits), activation)
  return labels
    .map((label, index) => ({ label, score: scores[index] ?? 0 }))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, count)
}

function activate(logits: number[], activation: Activation): number[] {
  if (logits.some((logit) => Number.isNaN(logit))) throw new Error('a logit is not a number')
  switch (activation) {
    case 'none':
      // Half floats and rounding can leave a probability a hair outside.
      return logits.map((score) => Math.min(1, Math.max(0, score)))
    case 'sigmoid':
      return logits.map(sigmoid)
    case 'softmax':
      return softmax(logits)
    default:
      return activation satisfies never
  }
}
