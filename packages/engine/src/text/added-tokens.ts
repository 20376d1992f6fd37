import { z } from 'zod'

import { spaces, wordCharacters } from './characters.ts'

export const addedTokenSchema = z.object({
  id: z.int().min(0),
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
})
export type AddedToken = z.infer<typeof addedTokenSchema>

/** A part of a text: an added token's id, or text that lies between such. */
export type TextPart = { id: number } | { text: string; atStart: boolean }

const startsWithWord = new RegExp(`^[${wordCharacters}]`, 'u')
const endsWithWord = new RegExp(`[${wordCharacters}]$`, 'u')
const spaceAtStart = new RegExp(`^[${spaces}]*`, 'u')
const spaceAtEnd = new RegExp(`[${spaces}]*$`, 'u')

/**
 * Finds added tokens in a text, the leftmost first and of several there the longest. `normalize` is what was
 * done to the text. Tokens with `single_word` count only between words; those with `lstrip` or `rstrip` take
 * the space beside them along.
 */
export function openAddedTokens(
  tokens: readonly AddedToken[],
  normalize: (text: string) => string,
): (text: string, atStart: boolean) => TextPart[] {
  const byContent = new Map(tokens.map((token) => [normalize(token.content), token]))
  byContent.delete('')
  if (byContent.size === 0) return (text, atStart) => (text === '' ? [] : [{ text, atStart }])
  const longestFirst = [...byContent.keys()].toSorted((a, b) => b.length - a.length)
  const source = longestFirst.map((content) => content.replaceAll(/[$()*+.?[\\\]^{|}/]/g, String.raw`\$&`)).join('|')
  const expression = new RegExp(source, 'gu')

  return (text, atStart) => {
    const parts: TextPart[] = []
    let end = 0
    const addText = (until: number): void => {
      if (until > end) parts.push({ text: text.slice(end, until), atStart: atStart && end === 0 })
    }
    for (const match of text.matchAll(expression)) {
      const token = byContent.get(match[0])
      if (token === undefined) continue
      let [start, stop] = [match.index, match.index + match[0].length]
      const isWithinWord = endsWithWord.test(text.slice(0, start)) || startsWithWord.test(text.slice(stop))
      if (token.single_word && isWithinWord) continue
      if (token.lstrip) start = Math.max(end, start - (spaceAtEnd.exec(text.slice(0, start))?.[0].length ?? 0))
      if (token.rstrip) stop += spaceAtStart.exec(text.slice(stop))?.[0].length ?? 0
      addText(start)
      parts.push({ id: token.id })
      end = stop
    }
    addText(text.length)
    return parts
  }
}
