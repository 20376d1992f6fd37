/**
 * The `count` labels of the highest logits with their probabilities (softmax), highest first; equal ones
 * in the order of the labels. Throws where a logit is no number: such a model's answer means nothing.
 */
export function topScores(
  logits: Float32Array,
  labels: readonly string[],
  count: number,
): { label: string; score: number }[] {
  if (logits.length !== labels.length) throw new Error(`${logits.length} logits for ${labels.length} labels`)
  // The largest logit is taken off first, or exp() overflows.
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  if (!Number.isFinite(sum)) throw new Error('a logit is not a number')
  return labels
    .map((label, index) => ({ label, score: (weights[index] ?? 0) / sum }))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, count)
}
