import type { Job } from '@vision-queue/protocol'
import { z } from 'zod'

import { type Answer, tokenLogprobSchema } from './answer.ts'

export const usageSchema = z
  .object({
    prompt_tokens: z.int().describe('of the text and the images'),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    prompt_tokens_details: z
      .object({ text_tokens: z.int(), image_tokens: z.int() })
      .optional()
      .describe('of models that tell them apart'),
  })
  .describe('0 of a model that counts no tokens')

export const regionsSchema = z
  .array(z.record(z.string(), z.json()))
  .optional()
  .describe('places that the text names, of models that tell: boxes and polygons in pixels of the upright image')
export const logprobsSchema = z.object({ content: z.array(tokenLogprobSchema) }).nullable()
const headSchema = z.object({
  id: z.string(),
  created: z.int().describe('in seconds since 1970'),
  model: z.string().describe('name@version that answers'),
  system_fingerprint: z.string().nullable().describe('name@version/variant that answered; null before that is known'),
})
export type Head = z.infer<typeof headSchema>

/** The answer of `POST /v1/chat/completions`. */
export const chatCompletionSchema = headSchema.extend({
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs: logprobsSchema,
      finish_reason: z.enum(['stop', 'length']),
      regions: regionsSchema,
    }),
  ),
  usage: usageSchema,
  vision_queue: z
    .object({
      jobs: z.array(z.string()).describe('the job of each choice'),
      images: z
        .array(z.record(z.string(), z.json()))
        .optional()
        .describe('how each image was looked at, by models that tell: sizes as sent and as used, tiles, tokens'),
      cached_images: z.int().optional().describe('how many of the images had been looked at before'),
    })
    .describe('what OpenAI has no place for'),
})
export type ChatCompletion = z.infer<typeof chatCompletionSchema>

/** What all answers to a request begin with; of the job of its first choice. */
export function headOf(job: Job): Head {
  const model = job.version === null ? job.model : `${job.model}@${job.version}`
  return {
    id: job.id.replace(/^job_/, 'chatcmpl-'),
    created: Math.floor(Date.parse(job.created_at) / 1000),
    model,
    system_fingerprint: job.variant === null ? null : `${model}/${job.variant}`,
  }
}

/** The answer made of those of the choices, each with its job. */
export function completionOf(choices: readonly { job: Job; answer: Answer }[]): ChatCompletion {
  const [first] = choices
  if (first === undefined) throw new Error('a completion without choices')
  const { images, usage } = first.answer
  const cached = usage?.cached_images
  return {
    ...headOf(first.job),
    object: 'chat.completion',
    choices: choices.map(({ answer }, index) => ({
      index,
      message: { role: 'assistant', content: answer.text, refusal: null },
      logprobs: logprobsOf(answer),
      finish_reason: answer.finishReason,
      ...regionsOf(answer),
    })),
    usage: usageOf(choices.map(({ answer }) => answer)),
    vision_queue: {
      jobs: choices.map(({ job }) => job.id),
      ...(images === null ? {} : { images }),
      ...(cached === undefined ? {} : { cached_images: cached }),
    },
  }
}

export function logprobsOf({ logprobs }: Answer): z.infer<typeof logprobsSchema> {
  return logprobs === null ? null : { content: logprobs }
}

export function regionsOf({ regions }: Answer): { regions?: z.infer<typeof regionsSchema> } {
  return regions === null ? {} : { regions }
}

/** The prompt counts once, however many choices there are. */
export function usageOf(answers: readonly Answer[]): z.infer<typeof usageSchema> {
  const prompt = answers[0]?.usage ?? null
  const promptTokens = prompt?.prompt_tokens ?? 0
  const completionTokens = answers.reduce((sum, { usage }) => sum + (usage?.completion_tokens ?? 0), 0)
  const { text_tokens: text, image_tokens: image } = prompt ?? {}
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(text === undefined || image === undefined
      ? {}
      : { prompt_tokens_details: { text_tokens: text, image_tokens: image } }),
  }
}
