import { z } from 'zod'

import type { ChatDefaults } from './chat-defaults.ts'

/** The most images of a job. */
export const mostImages = 16

const words = z.string().max(400_000, 'a text of at most 400,000 characters')
const partSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: words }),
  z.strictObject({ type: z.literal('image') }),
])

/** What a job asks, beside its images. */
export const chatInputSchema = z.strictObject({
  prompt: words.optional().describe('a question or an order about the images, which stand before it; or messages'),
  messages: z
    .array(
      z.strictObject({
        role: z.enum(['system', 'user', 'assistant']),
        content: z.union([words, z.array(partSchema).max(256)]),
      }),
    )
    .min(1)
    .max(512)
    .optional()
    .describe('a conversation; its parts {"type": "image"} are filled with the images in their order'),
})

const responseFormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: z.string().max(64).optional(),
      description: z.string().max(4096).optional(),
      schema: z.looseObject({}),
      strict: z.boolean().nullish(),
    }),
  }),
  z.strictObject({
    type: z.literal('choice'),
    choices: z.array(z.string().min(1).max(1024)).min(1).max(1024),
  }),
])
export type ResponseFormat = z.infer<typeof responseFormatSchema>

/** The parameters, with the defaults of a model. */
export function chatParametersSchema(defaults: ChatDefaults) {
  return z.strictObject({
    max_new_tokens: z
      .int()
      .min(1)
      .max(131_072)
      .default(defaults.max_new_tokens)
      .describe('the most tokens of the answer'),
    temperature: z
      .number()
      .min(0)
      .max(100)
      .default(defaults.temperature)
      .describe('0: always the likeliest token; more: tokens are drawn by lot, and the more evenly the higher it is'),
    top_p: z
      .number()
      .gt(0)
      .max(1)
      .default(defaults.top_p)
      .describe('draws among the likeliest that have so much together'),
    top_k: z.int().min(0).default(defaults.top_k).describe('draws among so many of the likeliest; 0: all'),
    min_p: z
      .number()
      .min(0)
      .max(1)
      .default(defaults.min_p)
      .describe('draws among those that have at least this part of what the likeliest has'),
    seed: z
      .int()
      .min(0)
      .optional()
      .meta({
        description: 'equal seeds draw equal answers; without one the answer is another each time',
        // What intake fills in where it is left out, so that all attempts of a job draw the same; see draw-parameters.ts.
        'x-drawn-unless': { temperature: 0 },
      }),
    repetition_penalty: z
      .number()
      .min(0.1)
      .max(10)
      .default(defaults.repetition_penalty)
      .describe('above 1 makes tokens of prompt and answer unlikelier'),
    presence_penalty: z.number().min(-2).max(2).default(0).describe("taken off the scores of the answer's tokens"),
    frequency_penalty: z.number().min(-2).max(2).default(0).describe('the same, once for each time'),
    no_repeat_ngram_size: z
      .int()
      .min(0)
      .max(64)
      .default(defaults.no_repeat_ngram_size)
      .describe('no run of so many tokens comes twice; 0: off'),
    stop: z.array(z.string().min(1).max(256)).max(4).default([]).describe('the text ends before the first of these'),
    logprobs: z.boolean().default(false).describe("the model's own logarithms of the tokens' probabilities"),
    top_logprobs: z.int().min(0).max(20).optional().describe('with logprobs: so many of the likeliest at each place'),
    response_format: responseFormatSchema
      .optional()
      .describe('text; JSON of any kind or of a schema; or one of some choices. Nothing else can come out'),
    detail: z
      .enum(['low', 'high', 'auto'])
      .default('auto')
      .describe('low: images are seen in few tokens; else as the model was trained'),
    max_pixels: z.int().min(1).optional().describe('images are seen in no more pixels'),
  })
}
export type ChatParameters = z.infer<ReturnType<typeof chatParametersSchema>>

const logprobSchema = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() })

/** The answer. */
export const chatOutputSchema = z.object({
  text: z.string(),
  tokens: z.int().describe('how many tokens were generated, an end token included'),
  finish_reason: z.enum(['stop', 'length']).describe('length: the answer was cut at max_new_tokens'),
  usage: z.object({
    prompt_tokens: z.int().describe('of text and images'),
    text_tokens: z.int(),
    image_tokens: z.int(),
    completion_tokens: z.int(),
    cached_images: z.int().describe('how many of the images had been encoded before'),
  }),
  images: z.array(
    z.object({
      width: z.int().describe('upright, in pixels'),
      height: z.int(),
      used_width: z.int().describe('the size in which the model saw it'),
      used_height: z.int(),
      tiles: z.int().describe('in how many pieces'),
      tokens: z.int(),
      downscaled: z.boolean(),
    }),
  ),
  regions: z
    .array(
      z.object({
        label: z.string(),
        box: z.object({ xmin: z.number(), ymin: z.number(), xmax: z.number(), ymax: z.number() }).optional(),
        polygon: z.array(z.object({ x: z.number(), y: z.number() })).optional(),
      }),
    )
    .optional()
    .describe('of Florence-2: what the answer names, in pixels of the upright image'),
  logprobs: z.array(logprobSchema.extend({ top_logprobs: z.array(logprobSchema) })).optional(),
})
export type ChatOutput = z.infer<typeof chatOutputSchema>
