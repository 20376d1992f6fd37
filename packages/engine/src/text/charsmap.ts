/**
 * SentencePiece's table of replacements (`precompiled_charsmap`), in the way of Hugging Face's `spm_precompiled`:
 * a double-array trie (darts-clone) from UTF-8 to places in a list of texts that end in a zero.
 */
export function readCharsmap(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64')
  const trieBytes = bytes.length < 4 ? Infinity : bytes.readUInt32LE(0)
  if (trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length) throw new RangeError('the table has another form')
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, index) => bytes.readUInt32LE(4 + 4 * index))
  const texts = bytes.subarray(4 + trieBytes)
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

  /** What stands for the text, or for the shortest beginning of it that is listed; null where none is. */
  function find(text: string): string | null {
    let place = offsetOf(units[0] ?? 0)
    for (const byte of Buffer.from(text, 'utf8')) {
      place ^= byte
      const unit = units[place] ?? 0
      if (byte === 0 || (unit & 0x800000ff) >>> 0 !== byte) return null
      place ^= offsetOf(unit)
      if (((unit >>> 8) & 1) === 1) {
        const start = (units[place] ?? 0) & 0x7fffffff
        const end = texts.indexOf(0, start)
        return texts.toString('utf8', start, end === -1 ? texts.length : end)
      }
    }
    return null
  }

  return (text) => {
    let result = ''
    for (const { segment } of graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) < 6 ? find(segment) : null
      result += whole ?? Array.from(segment, (character) => find(character) ?? character).join('')
    }
    return result
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}
