import type { LaunchReason } from '@vision-queue/protocol'

import { createCostModel, type CostModel } from './batch-cost.ts'
import { bestBatchSize, createSizeCap, type SizeCap } from './batch-size.ts'
import { dropReason, type BatchItem, type BatchOutcome, type BatchRun } from './run-or-split.ts'

/** The items of one shape that wait, and what is known of launches of that shape. */
export interface Bucket<Item> {
  /** In order of arrival; times as `performance.now()` gives them. */
  items: { item: Item; addedAt: number; dueAt: number }[]
  cost: CostModel
  cap: SizeCap
  /** Items that were launched so far. */
  taken: number
}

/** All that wait, by the shape of the items. */
export interface Buckets<Item> {
  /** The bucket of this shape, which is opened if there is none. */
  of: (shape: string) => Bucket<Item>
  all: () => Bucket<Item>[]
  /** Items in all buckets. */
  count: () => number
  /** The bucket of the shape that most items had. */
  main: () => Bucket<Item>
}

/** `seed`: runs that were measured before, of the shape of most. */
export function createBuckets<Item>(maxBatchSize: number, seed: readonly BatchRun[]): Buckets<Item> {
  const buckets = new Map<string, Bucket<Item>>()
  const open = (): Bucket<Item> => {
    return { items: [], cost: createCostModel(seed), cap: createSizeCap(maxBatchSize), taken: 0 }
  }
  const all = (): Bucket<Item>[] => [...buckets.values()]
  return {
    of(shape) {
      const bucket = buckets.get(shape) ?? open()
      buckets.set(shape, bucket)
      return bucket
    },
    all,
    count: () => all().reduce((sum, { items }) => sum + items.length, 0),
    main: () => all().toSorted((one, other) => other.taken - one.taken)[0] ?? open(),
  }
}

/** Without an objective an item is due so long after it came, or at its deadline if that is sooner. */
const patienceWithoutObjectiveMs = 1000
const waitingShareOfObjective = 0.05

/** When an item is due that came at `addedAt`: at its deadline, or at the end of the objective if that is sooner. */
export function dueAt({ deadlineAt }: BatchItem, addedAt: number, objectiveMs: number): number {
  const horizonMs = objectiveMs === 0 ? patienceWithoutObjectiveMs : objectiveMs
  return addedAt + (deadlineAt === null ? horizonMs : Math.min(horizonMs, deadlineAt - Date.now()))
}

/** The bucket whose first item is due soonest; null: nothing waits. */
export function mostUrgent<Item>(buckets: Iterable<Bucket<Item>>): Bucket<Item> | null {
  let best: Bucket<Item> | null = null
  for (const bucket of buckets) {
    const [head] = bucket.items
    if (head !== undefined && head.dueAt < (best?.items[0]?.dueAt ?? Infinity)) best = bucket
  }
  return best
}

/** The size that a batch is gathered to: what is worth its latency, within `limit` and what launches have shown. */
export function wantedSize(
  { cost: { figures }, cap }: Pick<Bucket<unknown>, 'cost' | 'cap'>,
  { limit, ...sizes }: { maxBatchSize: number; objectiveMs: number; limit: number },
): number {
  const best = figures === null ? sizes.maxBatchSize : bestBatchSize(figures, sizes)
  return Math.max(1, Math.min(best, cap.limit, limit))
}

/** What a batcher that is free does next. */
export type NextStep = { kind: 'launch'; reason: LaunchReason } | { kind: 'wait'; ms: number }

/**
 * Whether to launch the bucket now or to wait for the next item that is sure to come. That one would have to wait for a
 * launch made now, so those that are ready wait for it until they have waited as much together, n times a share of
 * the launch (ski rental: at most twice what the best choice would have cost); then the same for the one after it. Nobody
 * waits longer than a launch of `size` takes, nor than a twentieth of the objective. `bucket` is null if every item is
 * gone meanwhile; `at` is now, and `size` what the batch is gathered to.
 */
export function nextStep(
  bucket: Pick<Bucket<unknown>, 'items' | 'cost'> | null,
  now: { at: number; size: number; draining: boolean; preparing: number; objectiveMs: number },
): NextStep {
  const [head] = bucket?.items ?? []
  if (bucket === null || head === undefined) return { kind: 'launch', reason: 'idle' }
  const { items, cost } = bucket
  if (items.length >= now.size) return { kind: 'launch', reason: 'full' }
  if (now.draining) return { kind: 'launch', reason: 'drain' }
  if (now.preparing === 0) return { kind: 'launch', reason: 'idle' }
  const newest = items.at(-1) ?? head
  const longestMs = cost.predict(now.size) ?? 0
  const patienceMs = now.objectiveMs === 0 ? longestMs : Math.min(longestMs, waitingShareOfObjective * now.objectiveMs)
  const shareMs = (cost.predict(items.length) ?? 0) / items.length
  const leftMs = Math.min(newest.addedAt + shareMs, head.addedAt + patienceMs) - now.at
  return leftMs <= 0 ? { kind: 'launch', reason: 'delay' } : { kind: 'wait', ms: leftMs }
}

/** Takes up to `wanted` items from the front of the bucket; those that are not to run any more are `dropped`. */
export function takeBatch<Item extends BatchItem, Value>(
  bucket: Bucket<Item>,
  wanted: number,
): { batch: Item[]; dropped: BatchOutcome<Item, Value>[] } {
  const batch: Item[] = []
  const dropped: BatchOutcome<Item, Value>[] = []
  const most = Math.min(wanted, bucket.items.length)
  // The rest follows at once: all that a probe costs anybody is one launch.
  const size = bucket.cost.needsProbe && most > 1 ? Math.ceil(most / 2) : most
  while (batch.length < size) {
    const next = bucket.items.shift()
    if (next === undefined) break
    const drop = dropReason<Item, Value>(next.item)
    if (drop === null) batch.push(next.item)
    else dropped.push(drop)
  }
  bucket.taken += batch.length
  return { batch, dropped }
}
