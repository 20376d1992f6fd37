import type { CostFigures } from './batch-cost.ts'

/** Twice as large a batch must bring this share of throughput more, else the smaller one is as good. */
const leastGain = 0.025
/** What disturbs runs of every size is not cured by smaller batches: no more of the objective is kept for it. */
const disturbedShare = 0.25

/**
 * The largest batch that is worth its latency, at least 1. Going from n/2 to n items gains a / (a + b·n) of
 * throughput, where a launch costs a + b·n; so beyond the answer 2.5 % are left at most. (The gain of one
 * more item would be below that long before: n = 6 where a = b, with a seventh of the throughput still to win.)
 *
 * The fixed part is taken for as large as it may be: were it underestimated, batches would become so small
 * that nothing could ever be learned of larger ones.
 *
 * A job that comes just after a launch waits for that batch and then for its own: the two, and what the
 * slowest hundredth takes on top, are to fit into `objectiveMs`; 0: no objective. It costs half of the throughput
 * at most, and where not even one item fits it counts for nothing: smaller batches would only make the queue longer.
 */
export function bestBatchSize(
  { fixedMs, fixedMostMs, perItemMs, p99OverMs }: CostFigures,
  { maxBatchSize, objectiveMs }: { maxBatchSize: number; objectiveMs: number },
): number {
  if (perItemMs <= 0) return maxBatchSize
  const worthIt = (fixedMostMs * (1 / leastGain - 1)) / perItemMs
  const roomMs = objectiveMs === 0 ? Infinity : (objectiveMs - Math.min(p99OverMs, disturbedShare * objectiveMs)) / 2
  // At n = a / b half of all throughput is reached.
  const inside = fixedMs + perItemMs > roomMs ? Infinity : Math.max((roomMs - fixedMs) / perItemMs, fixedMs / perItemMs)
  return Math.max(1, Math.floor(Math.min(maxBatchSize, worthIt, inside)))
}

/** The safety net under the model of cost: how large batches may be, going by what they took. */
export interface SizeCap {
  readonly limit: number
  /** `allowedMs`: what a launch of this size may take before the model counts as wrong about it. */
  observe: (launch: { size: number; actualMs: number; allowedMs: number }) => void
}

const shrinkBy = 0.7

/**
 * Additive increase, multiplicative decrease, as TCP finds its rate: two launches in a row over what they
 * were allowed shrink the cap to 70 % of their size (one alone is noise), each launch at the cap that
 * kept within it raises the cap by one.
 */
export function createSizeCap(maxBatchSize: number): SizeCap {
  let limit = maxBatchSize
  let overInARow = 0
  return {
    get limit() {
      return limit
    },
    observe({ size, actualMs, allowedMs }) {
      if (actualMs <= allowedMs) {
        overInARow = 0
        if (size >= limit) limit = Math.min(maxBatchSize, limit + 1)
        return
      }
      overInARow += 1
      if (overInARow < 2 || size === 1) return
      overInARow = 0
      limit = Math.max(1, Math.min(limit, Math.floor(size * shrinkBy)))
    },
  }
}
