import { z } from 'zod'

import { lowercase, spaces, toByteCharacters } from './characters.ts'
import { readCharsmap } from './charsmap.ts'
import { patternSchema, toExpression } from './pattern.ts'
import { unknownKind } from './unknown-kind.ts'

/** The normalizers of tokenizer.json that work here as in Hugging Face's Rust library. */
export const normalizerSchema: z.ZodType<Normalizer> = z.discriminatedUnion(
  'type',
  [
    z.object({
      type: z.literal('BertNormalizer'),
      clean_text: z.boolean().default(true),
      handle_chinese_chars: z.boolean().default(true),
      strip_accents: z.boolean().nullish(),
      lowercase: z.boolean().default(true),
    }),
    z.object({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
    z.object({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'StripAccents', 'Lowercase', 'Nmt', 'ByteLevel']) }),
    z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.string().nullish() }),
    z.object({ type: z.literal('Replace'), pattern: patternSchema, content: z.string() }),
    z.object({ type: z.literal('Prepend'), prepend: z.string() }),
    z.object({
      type: z.literal('Sequence'),
      get normalizers() {
        return z.array(normalizerSchema)
      },
    }),
  ],
  { error: unknownKind },
)
export type Normalizer =
  | {
      type: 'BertNormalizer'
      clean_text: boolean
      handle_chinese_chars: boolean
      strip_accents?: boolean | null | undefined
      lowercase: boolean
    }
  | { type: 'Strip'; strip_left: boolean; strip_right: boolean }
  | { type: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | 'StripAccents' | 'Lowercase' | 'Nmt' | 'ByteLevel' }
  | { type: 'Precompiled'; precompiled_charsmap?: string | null | undefined }
  | { type: 'Replace'; pattern: z.infer<typeof patternSchema>; content: string }
  | { type: 'Prepend'; prepend: string }
  | { type: 'Sequence'; normalizers: Normalizer[] }

const spaceAtStart = new RegExp(`^[${spaces}]+`, 'u')
const spaceAtEnd = new RegExp(`[${spaces}]+$`, 'u')
const anySpace = new RegExp(`[${spaces}]`, 'gu')
/** Control characters and the like, but for the three that count as spaces. */
const controls = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\0\uFFFD]/gu
/** Hugging Face's own ranges, the gap from U+2B820 to U+2B91F included. */
const chinese =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu
/** Of the control characters all but U+0000, tab, line feed, form feed, carriage return, U+0080 to U+008E, and U+0090 to U+009E. */
const nmtDropped = /(?![\0\t\n\f\r\u0080-\u008E\u0090-\u009E])\p{Cc}/gu
const nmtSpaces = /[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/g

/** The function of a normalizer. */
export function openNormalizer(normalizer: Normalizer): (text: string) => string {
  switch (normalizer.type) {
    case 'BertNormalizer':
      return (text) => normalizeForBert(text, normalizer)
    case 'Strip':
      return (text) => {
        const left = normalizer.strip_left ? text.replace(spaceAtStart, '') : text
        return normalizer.strip_right ? left.replace(spaceAtEnd, '') : left
      }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(normalizer.type)
    case 'StripAccents':
      return (text) => text.replaceAll(/\p{M}/gu, '')
    case 'Lowercase':
      return lowercase
    case 'Nmt':
      return (text) => text.replaceAll(nmtDropped, '').replaceAll(nmtSpaces, ' ')
    case 'ByteLevel':
      return toByteCharacters
    case 'Precompiled':
      return readCharsmap(normalizer.precompiled_charsmap ?? '')
    case 'Replace': {
      const expression = toExpression(normalizer.pattern)
      return (text) => text.replaceAll(expression, () => normalizer.content)
    }
    case 'Prepend':
      return (text) => (text === '' ? text : normalizer.prepend + text)
    case 'Sequence': {
      const steps = normalizer.normalizers.map((step) => openNormalizer(step))
      return (text) => steps.reduce((before, step) => step(before), text)
    }
    default:
      return normalizer satisfies never
  }
}

function normalizeForBert(text: string, options: Extract<Normalizer, { type: 'BertNormalizer' }>): string {
  const clean = options.clean_text ? text.replaceAll(controls, '').replaceAll(anySpace, ' ') : text
  const spaced = options.handle_chinese_chars ? clean.replaceAll(chinese, ' $& ') : clean
  const bare =
    (options.strip_accents ?? options.lowercase) ? spaced.normalize('NFD').replaceAll(/\p{Mn}/gu, '') : spaced
  return options.lowercase ? lowercase(bare) : bare
}
