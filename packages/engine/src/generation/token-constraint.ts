/** What a text may become, token by token: such as JSON of a schema. One of them belongs to one sequence. */
export interface TokenConstraint {
  /** Sets the scores of all tokens that may not come next to -Infinity, end tokens among them until the text may end. */
  mask: (scores: Float32Array) => void
  /** The token that was chosen, one that `mask` left; no end token. */
  accept: (token: number) => void
  /** Whether the text is whole and nothing may follow: the sequence ends here, without a run for its end token. */
  readonly complete: boolean
}
