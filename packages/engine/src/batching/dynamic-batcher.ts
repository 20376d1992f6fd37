import type { BatchCost, GenerationFigures, LaunchReason } from '@vision-queue/protocol'

import { launchBatch, type Launch, type Settled } from './launch.ts'
import type { BatchItem, BatchOutcome, BatchRun, RunOptions } from './run-or-split.ts'
import { createBuckets, dueAt, mostUrgent, nextStep, takeBatch, wantedSize, type Bucket } from './waiting-items.ts'

/**
 * Gathers items into batches. When the engine is free it runs what is ready, up to the size that is worth
 * its latency; items that come meanwhile form the next batch. It waits for others only while they are
 * being prepared, so that they are sure to come, for each next one until they have waited as long together as that one
 * would have to for a launch (ski rental: never more than twice what the best choice would have cost), and a twentieth
 * of the latency objective at most.
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
  /** Where answers take many runs, and null elsewhere. */
  readonly generation: GenerationFigures | null
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

export function createDynamicBatcher<Item extends BatchItem, Value>(
  options: DynamicBatcherOptions<Item, Value>,
): DynamicBatcher<Item> {
  const { maxBatchSize, onSettled, objectiveMs = 0, seed = [] } = options
  const { preparing = () => 0, shapeOf = () => '', sizeLimit = () => Infinity } = options
  const buckets = createBuckets<Item>(maxBatchSize, seed)
  let running = false
  let draining = false
  let limit = maxBatchSize
  let wake = (): void => {}
  let unreported: Settled<Item, Value> | null = null
  const onOutOfMemory = (size: number): void => {
    limit = Math.min(limit, Math.max(1, Math.floor(size / 2)))
  }
  const sizeFor = (bucket: Bucket<Item>): number =>
    wantedSize(bucket, { maxBatchSize, objectiveMs, limit: Math.min(limit, sizeLimit()) })

  function report(): void {
    if (unreported !== null) onSettled(...unreported)
    unreported = null
  }

  /** Waits for items that are sure to come, where it pays. */
  async function gather(): Promise<LaunchReason> {
    for (;;) {
      const bucket = mostUrgent(buckets.all())
      const size = bucket === null ? 1 : sizeFor(bucket)
      const step = nextStep(bucket, { at: performance.now(), size, draining, preparing: preparing(), objectiveMs })
      if (step.kind === 'launch') return step.reason
      report()
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, step.ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async function launchWhileReady(): Promise<void> {
    running = true
    while (buckets.count() > 0) {
      // Lets decodes that have finished and messages that have come count into this batch.
      await new Promise((resolve) => setImmediate(resolve))
      const reason = await gather()
      const bucket = mostUrgent(buckets.all())
      const items = bucket === null ? [] : take(bucket)
      report()
      if (bucket === null || items.length === 0) continue
      unreported = await launchBatch({ items, bucket, reason }, { ...options, onOutOfMemory, objectiveMs })
    }
    report()
    running = false
  }

  function take(bucket: Bucket<Item>): Item[] {
    const { batch, dropped } = takeBatch<Item, Value>(bucket, sizeFor(bucket))
    if (dropped.length > 0) onSettled(dropped, [], null)
    return batch
  }

  return {
    add(item) {
      const addedAt = performance.now()
      buckets.of(shapeOf(item)).items.push({ item, addedAt, dueAt: dueAt(item, addedAt, objectiveMs) })
      wake()
      if (!running) void launchWhileReady()
    },
    drain() {
      draining = true
      wake()
    },
    get waiting() {
      return buckets.count()
    },
    get limit() {
      return limit
    },
    get cost() {
      const main = buckets.main()
      return costOf(main, sizeFor(main))
    },
    generation: null,
  }
}

function costOf({ cost: { figures } }: Bucket<unknown>, batchSize: number): BatchCost | null {
  if (figures === null) return null
  const { fixedMs, perItemMs, p99OverMs } = figures
  return { fixedMs, perItemMs, p99OverMs, batchSize }
}
