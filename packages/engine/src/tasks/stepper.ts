import type { Phase } from '../generation/phase-turns.ts'
import type { StepResult } from '../generation/running-sequence.ts'

/** A task whose answers take many runs: its items become sequences, which move step by step. */
export interface Stepper<Prepared, Sequence> {
  /** Rows of one step. */
  maxRows: number
  /** The most rows that an item will need. */
  rowsOf: (item: Prepared) => number
  /** Bytes that these items need at most while they run together; none: not counted. Adding an item never makes it less. */
  bytesOf?: (items: readonly Prepared[]) => number
  /** An item joins only while the bytes of all are no more; one that alone needs more is refused. Default: any number. */
  maxBytes?: number
  /** Bytes that the running sequences have now, for figures; none: not counted. */
  heldBytes?: () => number
  /** How many images were asked for whose features were there, and how many that had to be encoded, for figures. */
  seenImages?: () => { known: number; fresh: number }
  /** A sequence or an error for each item, in order. */
  start: (items: readonly Prepared[]) => Promise<readonly (Sequence | Error)[]>
  /** The sequences that the next step moves; at least one of them. */
  choose: (sequences: readonly Sequence[]) => readonly Sequence[]
  /** What a sequence's next step is: `decode` once it has its first token. Those of one step are in the same. */
  phaseOf: (sequence: Sequence) => Phase
  /** A result or an error for each, in order; where it rejects, none has moved. */
  step: (sequences: readonly Sequence[]) => Promise<readonly (StepResult | Error)[]>
  /** Called once for each sequence that moves no further: it has its answer, failed or was canceled. */
  leave?: (sequence: Sequence) => void
}
