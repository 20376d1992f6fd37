/** Something about how vision-queue is operated that is shown by doing it, with programs that not every machine has. */
export interface Proof {
  /** For `npm run proofs -- NAME`. */
  name: string
  /** What is shown, as a sentence without its full stop. */
  title: string
  /** Whether it takes seconds and needs no root, so that CI runs it (`npm run proofs -- --short`). */
  short: boolean
  /**
   * Resolves where it holds and rejects where it doesn't. Rejects with Skipped where this machine can't tell. Leaves
   * nothing running. `say` writes a line of what was seen.
   */
  run: (say: (line: string) => void) => Promise<void>
}

/** A proof, or a part of it, that this machine can't run. The message says what is missing and where to get it. */
export class Skipped extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Skipped'
  }
}
