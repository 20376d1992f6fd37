import type { BatchCost, LaunchReason } from '@vision-queue/protocol'

import { createCostModel, type CostModel } from './batch-cost.ts'
import { bestBatchSize, createSizeCap, type SizeCap } from './batch-size.ts'
import {
  dropReason,
  failure,
  runOrSplit,
  type BatchItem,
  type BatchOutcome,
  type BatchRun,
  type RunOptions,
} from './run-or-split.ts'

/**
 * Gathers items into batches. When the engine is free it runs what is ready, up to the size that is worth
 * its latency; items that come meanwhile form the next batch. It waits for others only while they are
 * being prepared, so that they are sure to come, and only as long as a launch costs (ski rental: never more
 * than twice what the best choice would have cost), a twentieth of the latency objective at most.
 *
 * idle --add--> (one turn of the event loop) --> gathering --> launched --run ends--> gathering or idle
 */
export interface DynamicBatcher<Item> {
  add: (item: Item) => void
  /** From now on it waits for nobody: the engine is to be emptied. */
  drain: () => void
  /** Items that wait for a launch. */
  readonly waiting: number
  /** The most items of a batch: `maxBatchSize`, or less once a batch was too large for the device's memory. */
  readonly limit: number
  /** Of the shape that most items had; null before anything is known, and where answers take many runs. */
  readonly cost: BatchCost | null
}

/** A launch, explained; of those whose batch had to be split there is none. */
export interface Launch {
  reason: LaunchReason
  size: number
  /** From taking the batch to its answers; null before the first observation. */
  predictedMs: number | null
  actualMs: number
}

export interface DynamicBatcherOptions<Item, Value> extends RunOptions<Item, Value> {
  /** Told before a batch runs; the run waits for it. */
  onLaunch: (items: readonly Item[]) => Promise<void>
  /**
   * Told what has ended, with the runs that it took (none for items that were dropped) and their launch. Where
   * the next batch is there already it is told right before that one's `onLaunch`, in the same turn.
   */
  onSettled: (outcomes: BatchOutcome<Item, Value>[], runs: BatchRun[], launch: Launch | null) => void
  /** How many items are on their way to `add`. Default: unknown, and nobody is waited for. */
  preparing?: () => number
  /** In milliseconds; see bestBatchSize. Default: 0, none. */
  objectiveMs?: number
  /** Items of different shapes do not share a batch. Default: all are alike. */
  shapeOf?: (item: Item) => string
  /** Runs that were measured before, of the shape of most. */
  seed?: readonly BatchRun[]
  /** A further bound on the size of batches, looked at before each. Default: none. */
  sizeLimit?: () => number
}

interface Bucket<Item> {
  items: { item: Item; addedAt: number; dueAt: number }[]
  cost: CostModel
  cap: SizeCap
  taken: number
}

/** Items are served in the order of their deadlines, but none later than so long after it came, where there is no objective. */
const patienceWithoutObjectiveMs = 1000
const waitingShareOfObjective = 0.05
/** A launch that took so many times what is predicted for the slowest hundredth was predicted wrongly. */
const allowance = 3

export function createDynamicBatcher<Item extends BatchItem, Value>(
  options: DynamicBatcherOptions<Item, Value>,
): DynamicBatcher<Item> {
  const { maxBatchSize, onLaunch, onSettled, objectiveMs = 0, seed = [] } = options
  const { preparing = () => 0, shapeOf = () => '', sizeLimit = () => Infinity } = options
  const buckets = new Map<string, Bucket<Item>>()
  let running = false
  let draining = false
  let limit = maxBatchSize
  let wake = (): void => {}
  let unreported: Parameters<typeof onSettled> | null = null
  const onOutOfMemory = (size: number): void => {
    limit = Math.min(limit, Math.max(1, Math.floor(size / 2)))
  }
  const waiting = (): number => [...buckets.values()].reduce((sum, { items }) => sum + items.length, 0)

  const openBucket = (): Bucket<Item> => {
    return { items: [], cost: createCostModel(seed), cap: createSizeCap(maxBatchSize), taken: 0 }
  }

  function bucketOf(item: Item): Bucket<Item> {
    const shape = shapeOf(item)
    const bucket = buckets.get(shape) ?? openBucket()
    buckets.set(shape, bucket)
    return bucket
  }

  /** The one whose head has the least slack. */
  function mostUrgent(): Bucket<Item> | null {
    let best: Bucket<Item> | null = null
    for (const bucket of buckets.values()) {
      const [head] = bucket.items
      if (head !== undefined && head.dueAt < (best?.items[0]?.dueAt ?? Infinity)) best = bucket
    }
    return best
  }

  function sizeFor({ cost, cap }: Bucket<Item>): number {
    const { figures } = cost
    const best = figures === null ? maxBatchSize : bestBatchSize(figures, { maxBatchSize, objectiveMs })
    return Math.max(1, Math.min(best, cap.limit, limit, sizeLimit()))
  }

  function patienceMs({ cost }: Bucket<Item>): number {
    const { fixedMs = 0 } = cost.figures ?? {}
    return objectiveMs === 0 ? fixedMs : Math.min(fixedMs, waitingShareOfObjective * objectiveMs)
  }

  function report(): void {
    if (unreported !== null) onSettled(...unreported)
    unreported = null
  }

  /** Waits for items that are sure to come, where it pays. */
  async function gather(): Promise<LaunchReason> {
    for (;;) {
      const bucket = mostUrgent()
      const [head] = bucket?.items ?? []
      if (bucket === null || head === undefined) return 'idle'
      if (bucket.items.length >= sizeFor(bucket)) return 'full'
      if (draining) return 'drain'
      if (preparing() === 0) return 'idle'
      const leftMs = head.addedAt + patienceMs(bucket) - performance.now()
      if (leftMs <= 0) return 'delay'
      report()
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async function launchWhileReady(): Promise<void> {
    running = true
    while (waiting() > 0) {
      // Lets decodes that have finished and messages that have come count into this batch.
      await new Promise((resolve) => setImmediate(resolve))
      const reason = await gather()
      const bucket = mostUrgent()
      const items = bucket === null ? [] : takeBatch(bucket)
      report()
      if (bucket !== null && items.length > 0) unreported = await launch(bucket, items, reason)
    }
    report()
    running = false
  }

  async function launch(
    { cost, cap }: Bucket<Item>,
    items: Item[],
    reason: LaunchReason,
  ): Promise<Parameters<typeof onSettled>> {
    const runs: BatchRun[] = []
    const size = items.length
    const predictedMs = cost.predict(size)
    const expectedMs = (predictedMs ?? Infinity) + (cost.figures?.p99OverMs ?? 0)
    const allowedMs = Math.max(allowance * expectedMs, objectiveMs / 2)
    const started = performance.now()
    let outcomes: BatchOutcome<Item, Value>[]
    try {
      await onLaunch(items)
      outcomes = await runOrSplit({ ...options, onOutOfMemory }, items, runs)
    } catch (error) {
      return [items.map((item) => failure(item, error)), runs, null]
    }
    if (runs.length !== 1 || outcomes.every(({ kind }) => kind === 'error')) return [outcomes, runs, null]
    const actualMs = performance.now() - started
    cost.observe(size, actualMs)
    cap.observe({ size, actualMs, allowedMs })
    return [outcomes, runs, { reason, size, predictedMs, actualMs }]
  }

  function takeBatch(bucket: Bucket<Item>): Item[] {
    const batch: Item[] = []
    const dropped: BatchOutcome<Item, Value>[] = []
    const most = Math.min(sizeFor(bucket), bucket.items.length)
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
    if (dropped.length > 0) onSettled(dropped, [], null)
    return batch
  }

  return {
    add(item) {
      const addedAt = performance.now()
      const horizonMs = objectiveMs === 0 ? patienceWithoutObjectiveMs : objectiveMs
      const slackMs = item.deadlineAt === null ? horizonMs : Math.min(horizonMs, item.deadlineAt - Date.now())
      bucketOf(item).items.push({ item, addedAt, dueAt: addedAt + slackMs })
      wake()
      if (!running) void launchWhileReady()
    },
    drain() {
      draining = true
      wake()
    },
    get waiting() {
      return waiting()
    },
    get limit() {
      return limit
    },
    get cost() {
      const [main = openBucket()] = [...buckets.values()].toSorted((one, other) => other.taken - one.taken)
      const { figures } = main.cost
      if (figures === null) return null
      const { fixedMs, perItemMs, p99OverMs } = figures
      return { fixedMs, perItemMs, p99OverMs, batchSize: sizeFor(main) }
    },
  }
}
