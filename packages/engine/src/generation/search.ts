/**
 * How the next tokens of one sequence are chosen. A sequence has one row of the decoder's batch, or
 * with beams several; each advance takes a row of logits for each of them.
 */
export interface Search {
  /** The first row's ids are the start token and the prompt. */
  advance: (logits: readonly Float32Array[]) => SearchMove
  /** The generated ids that nothing can change any more: all of a greedy search, none of beams. */
  readonly settledIds: readonly number[]
}

export type SearchMove =
  /** The rows of the next step: which of the present rows each continues, and with which token. */
  | { kind: 'going'; parents: number[]; tokens: number[] }
  /** The generated ids, an end token included. */
  | { kind: 'finished'; ids: readonly number[] }
