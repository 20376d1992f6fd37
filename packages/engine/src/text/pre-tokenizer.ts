import { z } from 'zod'

import { punctuation, spaces, toByteCharacters, wordCharacters } from './characters.ts'
import { behaviors, patternSchema, splitAt, toExpression } from './pattern.ts'
import { unknownKind } from './unknown-kind.ts'

const behaviorSchema = z.enum(behaviors)

/** The pre-tokenizers of tokenizer.json that work here as in Hugging Face's Rust library. */
export const preTokenizerSchema: z.ZodType<PreTokenizer> = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(['Whitespace', 'WhitespaceSplit', 'BertPreTokenizer']) }),
    z.object({
      type: z.literal('ByteLevel'),
      add_prefix_space: z.boolean().default(true),
      use_regex: z.boolean().default(true),
    }),
    z.object({
      type: z.literal('Metaspace'),
      replacement: z.string().length(1),
      prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
      /** Older files' way to say `never`. */
      add_prefix_space: z.boolean().optional(),
      split: z.boolean().default(true),
    }),
    z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) }),
    z.object({ type: z.literal('Punctuation'), behavior: behaviorSchema.default('Isolated') }),
    z.object({
      type: z.literal('Split'),
      pattern: patternSchema,
      behavior: behaviorSchema,
      invert: z.boolean().default(false),
    }),
    z.object({ type: z.literal('CharDelimiterSplit'), delimiter: z.string().min(1).max(2) }),
    z.object({ type: z.literal('FixedLength'), length: z.int().min(1) }),
    z.object({
      type: z.literal('Sequence'),
      get pretokenizers() {
        return z.array(preTokenizerSchema)
      },
    }),
  ],
  { error: unknownKind },
)
type Behavior = z.infer<typeof behaviorSchema>
export type PreTokenizer =
  | { type: 'Whitespace' | 'WhitespaceSplit' | 'BertPreTokenizer' }
  | { type: 'ByteLevel'; add_prefix_space: boolean; use_regex: boolean }
  | {
      type: 'Metaspace'
      replacement: string
      prepend_scheme?: 'always' | 'first' | 'never' | undefined
      add_prefix_space?: boolean | undefined
      split: boolean
    }
  | { type: 'Digits'; individual_digits: boolean }
  | { type: 'Punctuation'; behavior: Behavior }
  | { type: 'Split'; pattern: z.infer<typeof patternSchema>; behavior: Behavior; invert: boolean }
  | { type: 'CharDelimiterSplit'; delimiter: string }
  | { type: 'FixedLength'; length: number }
  | { type: 'Sequence'; pretokenizers: PreTokenizer[] }

/** A part of a text to its pieces. `atStart`: whether it is the text's beginning. */
export type Splitter = (part: string, atStart: boolean) => string[]

const words = new RegExp(`[${wordCharacters}]+|[^${wordCharacters}${spaces}]+`, 'gu')
const runsOfSpaces = new RegExp(`[${spaces}]`, 'gu')
const signs = new RegExp(`[${punctuation}]`, 'gu')
/** GPT-2's, with `\s` as Oniguruma has it. */
const bytePieces = new RegExp(
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^${spaces}\p{L}\p{N}]+|[${spaces}]+(?![^${spaces}])|[${spaces}]+`,
  'gu',
)

/** The function of a pre-tokenizer. */
export function openPreTokenizer(config: PreTokenizer): Splitter {
  switch (config.type) {
    case 'Whitespace':
      return (part) => splitAt(part, words, 'Removed', true)
    case 'WhitespaceSplit':
      return (part) => splitAt(part, runsOfSpaces, 'Removed')
    case 'BertPreTokenizer':
      return (part) => splitAt(part, runsOfSpaces, 'Removed').flatMap((piece) => splitAt(piece, signs, 'Isolated'))
    case 'ByteLevel':
      return (part) => {
        const text = config.add_prefix_space && !part.startsWith(' ') ? ` ${part}` : part
        return (config.use_regex ? splitAt(text, bytePieces, 'Isolated') : [text]).map(toByteCharacters)
      }
    case 'Metaspace':
      return openMetaspace(config)
    case 'Digits':
      return (part) => splitAt(part, /\p{N}/gu, config.individual_digits ? 'Isolated' : 'Contiguous')
    case 'Punctuation':
      return (part) => splitAt(part, signs, config.behavior)
    case 'Split': {
      const expression = toExpression(config.pattern)
      return (part) => splitAt(part, expression, config.behavior, config.invert)
    }
    case 'CharDelimiterSplit': {
      const expression = toExpression({ String: config.delimiter })
      return (part) => splitAt(part, expression, 'Removed')
    }
    case 'FixedLength': {
      const expression = new RegExp(String.raw`[\s\S]{1,${config.length}}`, 'gu')
      return (part) => splitAt(part, expression, 'Isolated')
    }
    case 'Sequence': {
      const steps = config.pretokenizers.map((step) => openPreTokenizer(step))
      return (part, atStart) =>
        steps.reduce(
          // A first piece before which something was left out is not the beginning.
          (pieces, step) =>
            pieces.flatMap((piece, index) => step(piece, atStart && index === 0 && part.startsWith(piece))),
          [part],
        )
    }
    default:
      return config satisfies never
  }
}

function openMetaspace({
  replacement,
  prepend_scheme: given,
  add_prefix_space: prefixes = true,
  split,
}: Extract<PreTokenizer, { type: 'Metaspace' }>): Splitter {
  const scheme = prefixes ? (given ?? 'always') : 'never'
  const separator = toExpression({ String: replacement })
  return (part, atStart) => {
    const marked = part.replaceAll(' ', () => replacement)
    const prepends = scheme === 'always' || (scheme === 'first' && atStart)
    const text = prepends && !marked.startsWith(replacement) ? replacement + marked : marked
    return split ? splitAt(text, separator, 'MergedWithNext') : [text]
  }
}
