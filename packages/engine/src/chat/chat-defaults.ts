import type { GenerationFiles } from '@vision-queue/models'

import type { AnswerFormat } from '../generation/constraints/answer-constraints.ts'
import type { LogitsRules } from '../generation/logits-rules.ts'
import { modelRules } from '../generation/model-rules.ts'
import type { SamplingOptions } from '../generation/sampling.ts'
import type { ChatParameters, ResponseFormat } from './chat-schemas.ts'

/** What holds where a caller says nothing. */
export interface ChatDefaults {
  max_new_tokens: number
  temperature: number
  top_p: number
  top_k: number
  min_p: number
  repetition_penalty: number
  no_repeat_ngram_size: number
}

/** Long enough for a description, and short enough that the keys and values kept free for it are few. */
const usualNewTokens = 512

/** A model's defaults by its generation_config.json, whose temperature counts only where it says `do_sample`. */
export function chatDefaults({ config }: Pick<GenerationFiles, 'config'>): ChatDefaults {
  return {
    max_new_tokens: config.max_new_tokens ?? usualNewTokens,
    temperature: config.do_sample === true ? (config.temperature ?? 1) : 0,
    top_p: config.top_p == null || config.top_p === 0 ? 1 : config.top_p,
    top_k: config.top_k ?? 0,
    min_p: config.min_p ?? 0,
    repetition_penalty: config.repetition_penalty ?? 1,
    no_repeat_ngram_size: config.no_repeat_ngram_size ?? 0,
  }
}

/** The parameters of a job as the rules of its scores. `beginLength`: of what the decoder begins with. */
export function toRules(files: GenerationFiles, parameters: ChatParameters, beginLength: number): LogitsRules {
  const { min_new_tokens: fewest } = files.config
  return {
    ...modelRules(files, { beginLength, newTokens: parameters.max_new_tokens }),
    repetitionPenalty: parameters.repetition_penalty,
    presencePenalty: parameters.presence_penalty,
    frequencyPenalty: parameters.frequency_penalty,
    noRepeatNgramSize: parameters.no_repeat_ngram_size,
    minLength: fewest == null ? 0 : beginLength + fewest,
  }
}

/** The parameters as how tokens are chosen. A job that draws and has no seed, as of an API from before, gets one here. */
export function toSampling(parameters: ChatParameters): SamplingOptions {
  return {
    temperature: parameters.temperature,
    topP: parameters.top_p,
    topK: parameters.top_k,
    minP: parameters.min_p,
    seed: parameters.seed ?? Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
    logprobs: parameters.logprobs ? (parameters.top_logprobs ?? 0) : null,
  }
}

/** What an answer has to be; null: any text. */
export function toAnswerFormat(format: ResponseFormat | undefined): AnswerFormat | null {
  switch (format?.type) {
    case undefined:
    case 'text':
      return null
    case 'json_object':
      return { type: 'json_object' }
    case 'json_schema':
      return { type: 'json_schema', schema: format.json_schema.schema }
    case 'choice':
      // A first word is written with a space before it in most vocabularies; the answer's text is trimmed.
      return { type: 'choice', choices: format.choices.flatMap((choice) => [choice, ` ${choice}`]) }
    default:
      return format satisfies never
  }
}
