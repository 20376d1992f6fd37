import { z } from 'zod'

const idsSchema = z.union([z.int().transform((id) => [id]), z.array(z.int())])
const countSchema = z.int().min(0)

/**
 * What we read of Hugging Face's `generation_config.json`, and of older models' `config.json`, which
 * had the same fields. Null is how both write "not set".
 */
export const generationConfigSchema = z.looseObject({
  decoder_start_token_id: countSchema.nullish(),
  bos_token_id: countSchema.nullish(),
  eos_token_id: idsSchema.nullish(),
  pad_token_id: countSchema.nullish(),
  /** Of the whole sequence, start token and prompt included. */
  max_length: z.int().min(1).nullish(),
  max_new_tokens: z.int().min(1).nullish(),
  min_length: countSchema.nullish(),
  min_new_tokens: countSchema.nullish(),
  num_beams: z.int().min(1).nullish(),
  /** Whether tokens are drawn by lot where a caller names no temperature. */
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: countSchema.nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  length_penalty: z.number().nullish(),
  early_stopping: z.union([z.boolean(), z.string()]).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  no_repeat_ngram_size: countSchema.nullish(),
  forced_bos_token_id: countSchema.nullish(),
  forced_eos_token_id: idsSchema.nullish(),
  suppress_tokens: z.array(z.int()).nullish(),
  begin_suppress_tokens: z.array(z.int()).nullish(),
})
export type GenerationConfig = z.infer<typeof generationConfigSchema>

const positionsSchema = z.looseObject({
  max_position_embeddings: z.int().min(1).nullish(),
  n_positions: z.int().min(1).nullish(),
})

/** `config.json`'s part: the same fields, and how many positions the decoder knows. */
export const generatorConfigSchema = generationConfigSchema.extend({
  ...positionsSchema.shape,
  decoder: positionsSchema.nullish(),
  text_config: positionsSchema.nullish(),
})

/** Everything a model's files say about generating. */
export interface GenerationFiles {
  config: GenerationConfig
  /** The most ids a sequence may have; Infinity where the files don't say. */
  maxPositions: number
}

/** `generation_config.json` where there is one, as in Hugging Face's libraries; else `config.json`'s fields. */
export function toGenerationFiles(
  generation: GenerationConfig | null,
  config: z.infer<typeof generatorConfigSchema> | null,
): GenerationFiles {
  const positions = [config?.decoder, config?.text_config, config].flatMap(
    (part) => part?.max_position_embeddings ?? part?.n_positions ?? [],
  )
  return { config: generation ?? config ?? {}, maxPositions: positions[0] ?? Infinity }
}
