/** A bound on a sum of bytes, over entries that lapse by themselves. Exact, whoever takes at the same time. */
export interface Budget {
  /**
   * Enters `bytes` for `forMs` unless the sum would pass `maxBytes`; `roomInMs` says when there will be room, as far as
   * is known. An entry that is there (not `isNew`) counts once, and lapses when it did or later.
   */
  take(
    id: string,
    entry: { bytes: number; forMs: number; maxBytes: number },
  ): Promise<{ taken: true; isNew: boolean } | { taken: false; roomInMs: number }>
  /** Puts off when an entry lapses; without effect where there is none. */
  extend(id: string, forMs: number): Promise<void>
  /** Safe to repeat. */
  release(id: string): Promise<void>
}
