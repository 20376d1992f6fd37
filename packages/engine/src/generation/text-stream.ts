/** A piece of an answer on its way: `index` is where it begins in the whole, in UTF-16 units. */
export interface TextPiece {
  text: string
  index: number
}

/**
 * Text that grows, as pieces that together are the text. What the tokens decode to may still change
 * at its end (half a character, half a word, a space that goes away before a full stop), so a piece
 * ends where a word ends; in scripts without spaces, where a character is whole.
 */
export interface TextStream {
  /** The text so far, as decoded from all tokens; null where there is nothing to say yet. */
  push: (text: string) => TextPiece | null
  /** The whole text; null where all of it was said. */
  finish: (text: string) => TextPiece | null
}

/** `heldBack`: strings that end the text where they come up, so that their beginning may not be said. */
export function createTextStream(heldBack: readonly string[] = []): TextStream {
  let said = ''
  const say = (text: string): TextPiece | null => {
    // A decoder that takes back what it gave: the rest is told by the final answer.
    if (!text.startsWith(said) || text.length === said.length) return null
    const piece = { text: text.slice(said.length), index: said.length }
    said = text
    return piece
  }
  return {
    push: (text) => say(wholeWords(withoutStart(text, heldBack))),
    finish: say,
  }
}

const spaceless = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]$/u

function wholeWords(text: string): string {
  if (spaceless.test(text)) return text
  return text.replace(/\s*\S*$/u, '')
}

/** The text without an end that might become one of these strings. */
function withoutStart(text: string, strings: readonly string[]): string {
  let end = text.length
  for (const string of strings) {
    for (let length = Math.min(string.length - 1, text.length); length > 0; length -= 1) {
      if (text.endsWith(string.slice(0, length))) {
        end = Math.min(end, text.length - length)
        break
      }
    }
  }
  return text.slice(0, end)
}

/** The text before the first of these strings in it, or null where it has none. */
export function cutAtStop(text: string, stops: readonly string[]): string | null {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0)
  return places.length === 0 ? null : text.slice(0, Math.min(...places))
}
