import { VisionQueueError } from '@vision-queue/protocol'

import type { StepResult } from '../generation/running-sequence.ts'
import type { TextPiece } from '../generation/text-stream.ts'
import type { TaskOutput } from '../task-output.ts'
import type { Stepper } from '../tasks/stepper.ts'
import { dropReason, type BatchItem, type BatchOutcome } from './run-or-split.ts'

/** An item whose answer is being generated, and the runs that it took part in so far. */
export interface Running<Item, Sequence> {
  item: Item
  sequence: Sequence
  runMs: number
  runs: number
  /** The sum of the runs' sizes. */
  sizes: number
  /** When it joined, and when the step ended that made its first token; null: there is none yet. */
  joinedAt: number
  firstTokenAt: number | null
}

/** What a step came to. */
export interface StepOutcome<Item, Sequence> {
  /** How items ended. */
  outcomes: BatchOutcome<Item, TaskOutput>[]
  /** What was added to answers. */
  pieces: { item: Item; piece: TextPiece }[]
  /** Those that move no further. */
  ended: Set<Running<Item, Sequence>>
}

/**
 * Takes waiting items from the front as long as there are rows and bytes for them; one that needs more rows than there
 * are is taken if nothing else runs. Those that are not to run any more are `dropped`, and with them who needs more
 * bytes than there are.
 */
export function takeWaiting<Prepared, Item extends BatchItem & { readonly prepared: Prepared }>(
  waiting: Item[],
  running: readonly Running<Item, unknown>[],
  { rowsOf, maxRows, bytesOf = () => 0, maxBytes = Infinity }: Limits<Prepared>,
): { taken: Item[]; dropped: BatchOutcome<Item, TaskOutput>[] } {
  const taken: Item[] = []
  const dropped: BatchOutcome<Item, TaskOutput>[] = []
  let rows = running.reduce((sum, { item }) => sum + rowsOf(item.prepared), 0)
  for (let item = waiting[0]; item !== undefined; item = waiting[0]) {
    const drop = dropReason<Item, TaskOutput>(item) ?? tooLarge(item, bytesOf([item.prepared]), maxBytes)
    const needed = rowsOf(item.prepared)
    if (drop === null && rows > 0 && rows + needed > maxRows) break
    const beside = [...running.map((one) => one.item.prepared), ...taken.map((one) => one.prepared)]
    if (drop === null && bytesOf([...beside, item.prepared]) > maxBytes) break
    waiting.shift()
    if (drop === null) {
      taken.push(item)
      rows += needed
    } else {
      dropped.push(drop)
    }
  }
  return { taken, dropped }
}

type Limits<Prepared> = Pick<Stepper<Prepared, unknown>, 'rowsOf' | 'maxRows' | 'bytesOf' | 'maxBytes'>

function tooLarge<Item>(item: Item, bytes: number, maxBytes: number): BatchOutcome<Item, TaskOutput> | null {
  if (bytes <= maxBytes) return null
  const inMiB = (count: number): string => (count / 1024 ** 2).toFixed(1)
  const sentence = `The job would need ${inMiB(bytes)} MiB for its tokens, and the model has ${inMiB(maxBytes)} MiB: ask for fewer new tokens, or send less text or smaller images.`
  return { kind: 'error', item, error: new VisionQueueError('invalid_input', sentence) }
}

/** Items whose sequences were started, and those that ended by it. */
export function beginItems<Item, Sequence>(
  started: readonly BatchOutcome<Item, Sequence>[],
  joinedAt: number,
): { begun: Running<Item, Sequence>[]; failed: BatchOutcome<Item, TaskOutput>[] } {
  const begun: Running<Item, Sequence>[] = []
  const failed: BatchOutcome<Item, TaskOutput>[] = []
  for (const outcome of started) {
    if (outcome.kind === 'value') {
      const { item, value: sequence, runMs, batchSize: sizes } = outcome
      begun.push({ item, sequence, runMs, runs: 1, sizes, joinedAt, firstTokenAt: null })
    } else failed.push(outcome)
  }
  return { begun, failed }
}

/** Adds a step that has just ended to the figures of those that it moved, and tells what it came to. */
export function countStep<Item, Sequence>(
  results: readonly BatchOutcome<Running<Item, Sequence>, StepResult>[],
  phaseOf: Stepper<never, Sequence>['phaseOf'],
): StepOutcome<Item, Sequence> {
  const at = performance.now()
  const { outcomes, pieces, ended }: StepOutcome<Item, Sequence> = { outcomes: [], pieces: [], ended: new Set() }
  for (const result of results) {
    const moved = result.item
    if (result.kind === 'error') {
      ended.add(moved)
      outcomes.push({ kind: 'error', item: moved.item, error: result.error })
    } else if (result.kind === 'value') {
      moved.runMs += result.runMs
      moved.runs += 1
      moved.sizes += result.batchSize
      const { piece, output } = result.value
      if (piece !== null) pieces.push({ item: moved.item, piece })
      if (output === null) {
        if (moved.firstTokenAt === null && phaseOf(moved.sequence) === 'decode') moved.firstTokenAt = at
        continue
      }
      ended.add(moved)
      const { item, sizes, runs, runMs, joinedAt, firstTokenAt } = moved
      const firstAt = firstTokenAt ?? at
      const times = { prefillMs: firstAt - joinedAt, decodeMs: at - firstAt }
      outcomes.push({ kind: 'value', item, value: output, batchSize: Math.round(sizes / runs), runMs, times })
    }
  }
  return { outcomes, pieces, ended }
}
