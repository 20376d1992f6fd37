import type { Stepper } from '../tasks/stepper.ts'
import type { PreparedSequence } from '../tasks/task.ts'
import type { Decoder } from './decoder.ts'
import { assembleRows, type BlockRows } from './row-block.ts'
import type { RunningSequence, StepResult } from './running-sequence.ts'
import { createStepScheduler } from './step-scheduler.ts'

/**
 * Steps of an encoder and its decoder: new sequences are encoded together; then each step feeds the
 * decoder the rows of all sequences that have the same length. A step that rejects has changed none of them.
 */
export function createGenerationStepper({
  encode,
  decoder,
  maxRows,
}: {
  encode: (items: readonly PreparedSequence[]) => Promise<(RunningSequence | Error)[]>
  decoder: Decoder
  /** Rows of a step; a sequence has one for each of its beams. */
  maxRows: number
}): Stepper<PreparedSequence, RunningSequence> {
  return {
    maxRows,
    rowsOf: (item) => item.maxRows,
    start: encode,
    choose: createStepScheduler(),
    phaseOf: ({ own }) => (own === null ? 'prefill' : 'decode'),
    async step(sequences) {
      const ids = sequences.flatMap(({ pendingIds }) => pendingIds)
      const own = sequences.flatMap((sequence): BlockRows[] => (sequence.own === null ? [] : [sequence.own]))
      const { logits, ...state } = await decoder.step(ids, {
        own: own.length === 0 ? null : assembleRows(own),
        cross: assembleRows(sequences.map(({ cross }) => cross)),
      })
      let from = 0
      return sequences.map((sequence): StepResult | Error => {
        const rows = logits.slice(from, from + sequence.pendingIds.length)
        from += rows.length
        try {
          return sequence.advance(rows, { ...state, from: from - rows.length })
        } catch (error) {
          return error instanceof Error ? error : new Error('a sequence failed', { cause: error })
        }
      })
    },
  }
}
