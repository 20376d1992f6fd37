import type { Sample } from '@vision-queue/load/sample'
import { isSuccess } from '@vision-queue/load/summary'

/** What a refusal advised, beside what would have been right. */
export interface DrainCheck {
  advisedMs: number
  /**
   * How long the jobs that were queued at that moment took to be worked off: the time until as many jobs had
   * ended as were then accepted and not ended.
   */
  actualMs: number
}

/**
 * Checks the advice of every refusal against what happened. Refusals for whose queue the run did not see
 * the end are left out, and those without advice.
 */
export function checkDrains(samples: readonly Sample[]): DrainCheck[] {
  const accepted = samples.filter(isSuccess)
  const begun = Float64Array.from(accepted, ({ sentMs }) => sentMs).toSorted()
  const ended = Float64Array.from(accepted, ({ doneMs }) => doneMs).toSorted()
  return samples.flatMap(({ status, retryAfterMs, doneMs }) => {
    if (status !== 429 || retryAfterMs === null) return []
    // What was sent before it and accepted, however long ago, ends in some order; only the count matters.
    const lastOfQueue = ended[countUpTo(begun, doneMs) - 1]
    if (lastOfQueue === undefined || lastOfQueue <= doneMs) return []
    return [{ advisedMs: retryAfterMs, actualMs: lastOfQueue - doneMs }]
  })
}

/** How many of the sorted values are at most `limit`. */
function countUpTo(sorted: Float64Array, limit: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? Infinity) <= limit) low = middle + 1
    else high = middle
  }
  return low
}
