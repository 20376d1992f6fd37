import { z } from 'zod'

/** What we read of `tokenizer.json`. */
export const tokenizerSchema = z.looseObject({
  padding: z
    .looseObject({
      strategy: z.union([z.string(), z.looseObject({ Fixed: z.int().min(1).optional() })]).nullish(),
      direction: z.string().nullish(),
      pad_id: z.int().min(0).nullish(),
      pad_type_id: z.int().min(0).nullish(),
    })
    .nullish(),
  truncation: z.looseObject({ direction: z.string().nullish(), max_length: z.int().min(1).nullish() }).nullish(),
  model: z.looseObject({
    // Old files name no type. One that the library doesn't know would be taken for a list of words.
    type: z.enum(['WordPiece', 'WordLevel', 'BPE', 'Unigram'], 'WordPiece, WordLevel, BPE or Unigram').optional(),
    unk_token: z.string().nullish(),
  }),
})
/** Hugging Face writes 1e30 as the most tokens of a text where there is no limit. */
const unlimited = 1e12
const specialTokenSchema = z.union([z.string(), z.looseObject({ content: z.string() }).transform((t) => t.content)])
/** What we read of `tokenizer_config.json`. */
export const tokenizerConfigSchema = z.looseObject({
  model_max_length: z.number().min(2).optional(),
  pad_token: specialTokenSchema.nullish(),
  unk_token: specialTokenSchema.nullish(),
  padding_side: z.enum(['left', 'right']).nullish(),
  truncation_side: z.enum(['left', 'right']).nullish(),
})

/** `tokenizer.json` and `tokenizer_config.json` as they are, and what we read of the latter. */
export interface TokenizerFiles {
  tokenizer: Record<string, unknown>
  config: Record<string, unknown>
  /** What stands for words that the model doesn't know; null where it has none. */
  unknownToken: string | null
  /** In tokens, special ones included; Infinity where the model names no limit. */
  maxLength: number
  padToken: string | null
  /** How a text is filled up; `id` where no token is named. */
  padding: { id: number; typeId: number; side: 'left' | 'right' }
  /** Where a text that is too long is cut. */
  truncationSide: 'left' | 'right'
}

/** tokenizer_config.json counts, and tokenizer.json where it is silent, as in Hugging Face's transformers. */
export function toTokenizerFiles(
  tokenizer: z.infer<typeof tokenizerSchema>,
  config: z.infer<typeof tokenizerConfigSchema>,
): TokenizerFiles {
  const { padding, truncation } = tokenizer
  const { model_max_length: stated = Infinity } = config
  const sideOf = (direction: string | null | undefined): 'left' | 'right' =>
    direction?.toLowerCase() === 'left' ? 'left' : 'right'
  return {
    tokenizer,
    config,
    unknownToken: config.unk_token ?? tokenizer.model.unk_token ?? null,
    maxLength: stated < unlimited ? stated : (truncation?.max_length ?? Infinity),
    padToken: config.pad_token ?? null,
    padding: {
      id: padding?.pad_id ?? 0,
      typeId: padding?.pad_type_id ?? 0,
      side: config.padding_side ?? sideOf(padding?.direction),
    },
    truncationSide: config.truncation_side ?? sideOf(truncation?.direction),
  }
}

/** How many tokens tokenizer.json fills every text up to; null where it doesn't. */
export function fixedPadding(tokenizer: z.infer<typeof tokenizerSchema> | null): number | null {
  const strategy = tokenizer?.padding?.strategy
  return typeof strategy === 'object' ? (strategy?.Fixed ?? null) : null
}
