import type { StepResult } from '../generation/running-sequence.ts'

/** A task whose answers take many runs: its items become sequences, which move step by step. */
export interface Stepper<Prepared, Sequence> {
  /** Rows of one step. */
  maxRows: number
  /** The most rows that an item will need. */
  rowsOf: (item: Prepared) => number
  /** A sequence or an error for each item, in order. */
  start: (items: readonly Prepared[]) => Promise<readonly (Sequence | Error)[]>
  /** The sequences that the next step moves; at least one of them. */
  choose: (sequences: readonly Sequence[]) => readonly Sequence[]
  /** A result or an error for each, in order; where it rejects, none has moved. */
  step: (sequences: readonly Sequence[]) => Promise<readonly (StepResult | Error)[]>
}
