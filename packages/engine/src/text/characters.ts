/**
 * Classes of characters as Rust has them, in which Hugging Face's tokenizers are written: JavaScript's own `\w`, `\d`
 * and `\s` are ASCII's or miss some. For use within `[...]` of an expression with the flag u.
 */

/** `\w` of Rust's regex crate (Unicode's UTS 18, annex C). */
export const wordCharacters = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`
/** `char::is_whitespace`, and `\s` of the regex crate; JavaScript's has U+FEFF too and U+0085 not. */
export const spaces = String.raw`\p{White_Space}`
/** What Hugging Face calls punctuation: Unicode's, and all of ASCII's signs. */
export const punctuation = String.raw`\p{P}!-/:-@\[-\x60{-~`

/** Each character's lowercase by itself, as Rust's `char::to_lowercase`: a sigma that ends a word is like any other. */
export function lowercase(text: string): string {
  return Array.from(text, (character) => character.toLowerCase()).join('')
}

/** GPT-2's printable characters for the 256 bytes, by which byte-level vocabularies are written. */
const byteCharacters = ((): string[] => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let others = 0
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(printable(byte) ? byte : 0x100 + (others += 1) - 1),
  )
})()

/** A text's bytes in UTF-8 as characters that can be printed, one each. */
export function toByteCharacters(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => byteCharacters[byte] ?? '').join('')
}
