import { z } from 'zod'

import { openLibrary } from './library.ts'

/** A pattern of tokenizer.json: a text, or an expression in Oniguruma's syntax. */
export const patternSchema = z.union([
  z.strictObject({ String: z.string() }),
  z.strictObject({ Regex: z.string().refine(isKnown, 'an expression that can be used here') }),
])
export type Pattern = z.infer<typeof patternSchema>

/** What becomes of the separators of a split. */
export const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
export type Behavior = (typeof behaviors)[number]

/** As an expression with the flags g and u; throws SyntaxError for one that can't be used here. */
export function toExpression(pattern: Pattern): RegExp {
  if ('String' in pattern) return new RegExp(pattern.String.replaceAll(/[$()*+.?[\\\]^{|}/]/g, String.raw`\$&`), 'gu')
  // The library translates Oniguruma's syntax; what it can't it reports, or leaves to RegExp to refuse.
  const split = { type: 'Split', pattern: { Regex: pattern.Regex }, behavior: 'Isolated', invert: false }
  const model = { type: 'WordLevel', vocab: {} }
  const expression = openLibrary({ model, pre_tokenizer: split }, {}).pre_tokenizer?.pattern ?? null
  if (expression === null) throw new SyntaxError('no expression')
  return expression
}

function isKnown(source: string): boolean {
  try {
    toExpression({ Regex: source })
    return true
  } catch {
    return false
  }
}

/** Splits a text at the matches, or, inverted, at what lies between them. Empty pieces are left out. */
export function splitAt(text: string, separator: RegExp, behavior: Behavior, invert = false): string[] {
  const parts: { text: string; separates: boolean }[] = []
  let end = 0
  for (const match of text.matchAll(separator)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index), separates: invert })
    if (match[0] !== '') parts.push({ text: match[0], separates: !invert })
    end = match.index + match[0].length
  }
  if (end < text.length) parts.push({ text: text.slice(end), separates: invert })
  return joinParts(parts, behavior)
}

function joinParts(parts: readonly { text: string; separates: boolean }[], behavior: Behavior): string[] {
  switch (behavior) {
    case 'Removed':
      return parts.flatMap(({ text, separates }) => (separates ? [] : [text]))
    case 'Isolated':
      return parts.map(({ text }) => text)
    case 'Contiguous':
      return merge(parts, (part, before) => part.separates === before.separates)
    case 'MergedWithPrevious':
      return merge(parts, (part, before) => part.separates && !before.separates)
    case 'MergedWithNext':
      return merge(parts, (part, before) => before.separates && !part.separates)
    default:
      return behavior satisfies never
  }
}

/** Joins a part to the one before where the rule says so; it looks at the parts as they were. */
function merge<Part extends { text: string }>(
  parts: readonly Part[],
  belongs: (part: Part, before: Part) => boolean,
): string[] {
  const joined: string[] = []
  for (const [index, part] of parts.entries()) {
    const before = parts[index - 1]
    if (before !== undefined && belongs(part, before)) joined.push((joined.pop() ?? '') + part.text)
    else joined.push(part.text)
  }
  return joined
}
