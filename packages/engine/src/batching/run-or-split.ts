import { toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'

/** What a batcher must know of an item; both are looked at just before launch and never after. */
export interface BatchItem {
  /** Milliseconds since 1970 after which it ends as `deadline_exceeded`; null: never. */
  readonly deadlineAt: number | null
  /** Set by the owner; a canceled item is dropped. */
  readonly canceled: boolean
}

/** When an answer of many steps was made, in milliseconds by the clock on the wall. */
export interface GenerationTimes {
  /** From its place among the running ones to its first token. */
  prefillMs: number
  /** From there to its last. */
  decodeMs: number
}

/** How an item ended. `size` and `runMs` are of the run that answered it; `times`: of an answer that was generated. */
export type BatchOutcome<Item, Value> =
  | { kind: 'value'; item: Item; value: Value; batchSize: number; runMs: number; times?: GenerationTimes }
  | { kind: 'error'; item: Item; error: VisionQueueError }
  | { kind: 'canceled'; item: Item }

/** One call of `run`, with how long it took. */
export interface BatchRun {
  size: number
  runMs: number
}

export interface RunOptions<Item, Value> {
  /** At least 1. */
  maxBatchSize: number
  /**
   * Answers a batch: as many slots as items, in their order, each a value or an Error. Where it
   * rejects, the batch is split in halves and run again until the item at fault fails alone.
   */
  run: (items: readonly Item[]) => Promise<readonly (Value | Error)[]>
  /**
   * How many more runs the halving of one failed batch may cost. What is not settled by then runs item by item, so
   * that an item never fails for another's sake, however many are at fault. Default: enough to find two of them by
   * halving, 4 for each time.
   */
  maxExtraRuns?: number
  /**
   * Whether a rejection of `run` says that memory ran out. Such a batch is run again in halves (its runs
   * are no extra ones) and no later batch is larger than what fitted. Default: none does.
   */
  isOutOfMemory?: (error: unknown) => boolean
}

/** How an item ends that is not to be launched any more; null where it is. */
export function dropReason<Item extends BatchItem, Value>(item: Item): BatchOutcome<Item, Value> | null {
  if (item.canceled) return { kind: 'canceled', item }
  if (item.deadlineAt === null || item.deadlineAt > Date.now()) return null
  const error = new VisionQueueError('deadline_exceeded', 'The deadline passed before the job ran.')
  return { kind: 'error', item, error }
}

/** Runs a batch and, where it fails as a whole, its halves, adding every run to `runs`. */
export async function runOrSplit<Item, Value>(
  {
    run,
    maxBatchSize,
    maxExtraRuns = 4 * Math.ceil(Math.log2(maxBatchSize)),
    isOutOfMemory = () => false,
    onOutOfMemory = () => {},
  }: RunOptions<Item, Value> & {
    onOutOfMemory?: (size: number) => void
  },
  batch: readonly Item[],
  runs: BatchRun[],
): Promise<BatchOutcome<Item, Value>[]> {
  let extraRuns = 0

  async function settle(items: readonly Item[]): Promise<BatchOutcome<Item, Value>[]> {
    const started = performance.now()
    let slots: readonly (Value | Error)[]
    try {
      slots = await run(items)
    } catch (error) {
      runs.push({ size: items.length, runMs: performance.now() - started })
      const outOfMemory = isOutOfMemory(error)
      if (outOfMemory) onOutOfMemory(items.length)
      if (items.length === 1) return items.map((item) => failure(item, error))
      if (!outOfMemory) {
        if (extraRuns + 2 > maxExtraRuns) return settleParts(items.map((item) => [item]))
        extraRuns += 2
      }
      const middle = Math.ceil(items.length / 2)
      return settleParts([items.slice(0, middle), items.slice(middle)])
    }
    const runMs = performance.now() - started
    runs.push({ size: items.length, runMs })
    if (slots.length !== items.length) {
      throw new Error(`a batch of ${items.length} came back with ${slots.length} slots`)
    }
    return items.map((item, index) => {
      const value = slots[index]
      if (value === undefined || value instanceof Error) return failure(item, value)
      return { kind: 'value', item, value, batchSize: items.length, runMs }
    })
  }
  /** One after the other, because a session runs one batch at a time. */
  async function settleParts(parts: readonly (readonly Item[])[]): Promise<BatchOutcome<Item, Value>[]> {
    const outcomes: BatchOutcome<Item, Value>[] = []
    for (const part of parts) outcomes.push(...(await settle(part)))
    return outcomes
  }
  return settle(batch)
}

/** An item that ended with this, as an error that may cross boundaries. */
export function failure<Item>(item: Item, error: unknown): { kind: 'error'; item: Item; error: VisionQueueError } {
  return { kind: 'error', item, error: toVisionQueueError(error, 'inference_failed') }
}
