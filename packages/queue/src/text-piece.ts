/** A piece of a text and where it begins in the whole, in UTF-16 units. It replaces what was there from that place on. */
export interface TextPiece {
  text: string
  index: number
}

/** Both pieces, one after the other, as one. */
export function joinPieces(first: TextPiece, second: TextPiece): TextPiece {
  // The second replaces all of the first.
  if (second.index < first.index) return second
  return { index: first.index, text: first.text.slice(0, second.index - first.index) + second.text }
}

/** How far two texts are the same, in UTF-16 units. */
export function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1
  return length
}
