import { commonLength, joinPieces, type TextPiece } from '../text-piece.ts'

/**
 * A text that grows, and of it what was not told yet. If the text begins anew because its engine died, nothing is to
 * be told while the new text says the same as the old one; what differs replaces the old text from there on.
 */
export interface GrowingText {
  add(piece: TextPiece): void
  /** Whether something was not taken yet. */
  readonly isDue: boolean
  /** What was added since the last time, as one piece; null: nothing. */
  take(): TextPiece | null
  /** As if nothing had been taken yet. */
  beginAnew(): void
}

export function createGrowingText(): GrowingText {
  let text = ''
  // The engine's text ends here: before the end of `text` only while the engine says again what it had said.
  let end = 0
  let due: TextPiece | null = null
  return {
    get isDue() {
      return due !== null
    },
    add(piece) {
      // Without what lies between, the piece says nothing.
      if (piece.index > end) return
      end = piece.index
      // Not sliced if nothing is said again: that would copy the whole text at every piece.
      const same = end === text.length ? 0 : commonLength(text.slice(end, end + piece.text.length), piece.text)
      end += same
      if (same === piece.text.length) return
      const fresh = { index: end, text: piece.text.slice(same) }
      text = text.slice(0, end) + fresh.text
      end = text.length
      due = due === null ? fresh : joinPieces(due, fresh)
    },
    take() {
      const taken = due
      due = null
      return taken
    },
    beginAnew() {
      due = text === '' ? null : { index: 0, text }
    },
  }
}
