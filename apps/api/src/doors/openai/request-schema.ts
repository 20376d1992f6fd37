import { metadataSchema, modelReferenceSchema, submissionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

const textPartSchema = z.object({ type: z.literal('text'), text: z.string() })
const imagePartSchema = z.object({
  type: z.literal('image_url'),
  image_url: z.union([
    z.string().min(1),
    z.object({ url: z.string().min(1), detail: z.enum(['auto', 'low', 'high']).optional() }),
  ]),
})
const contentSchema = z.union(
  [z.string(), z.array(z.discriminatedUnion('type', [textPartSchema, imagePartSchema]))],
  'a string, or an array of parts: {"type":"text","text":...} or {"type":"image_url","image_url":{"url":...}}, where ' +
    'the url is a data: URI, the id of an uploaded image or, where the server fetches images, an https: address, and ' +
    'detail may be auto, low or high',
)
export type MessagePart = z.infer<typeof textPartSchema> | z.infer<typeof imagePartSchema>

const noTools = 'none, as tools are not called here'
const nothing = 'nothing, as it is not supported'
const messageSchema = z.object({
  role: z.enum(
    ['system', 'developer', 'user', 'assistant'],
    'system, developer, user or assistant, as tools are not called here',
  ),
  content: contentSchema.default(''),
  tool_calls: z.array(z.unknown()).max(0, noTools).optional(),
})
export type Message = z.infer<typeof messageSchema>

const responseFormatSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object') }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.object({
        name: z.string().optional(),
        description: z.string().optional(),
        schema: z.record(z.string(), z.json()),
        strict: z.boolean().optional(),
      }),
    }),
    z.object({ type: z.literal('choice'), choices: z.array(z.string()).min(1) }),
  ],
  'text, json_object, json_schema or choice',
)
export type ResponseFormat = z.infer<typeof responseFormatSchema>

/** A field that would change the answer if it could be honoured: only what changes nothing is let pass. */
const only = (neutral: z.ZodType, expected: string) =>
  z
    .unknown()
    .refine((value) => value === undefined || neutral.safeParse(value).success, expected)
    .optional()
/** A field that changes no answer. */
const passedOver = z.unknown().optional().describe('changes nothing')
const none = z.array(z.unknown()).max(0)
const { priority, deadline_ms, cache } = submissionSchema.shape

/** How many choices a request may ask for; each is a job. */
export const maxChoices = 16

/**
 * The body of `POST /v1/chat/completions`. Fields with an effect on the answer are honoured or refused by name, and so
 * is a field that nobody here knows. Null counts as left out: the parser of bodies drops it.
 */
export const chatRequestSchema = z.strictObject({
  model: modelReferenceSchema.optional().describe('name, name@version or name@alias'),
  messages: z.array(messageSchema).min(1),
  n: z.int().min(1).max(maxChoices).default(1).describe('how many choices; each is a job'),
  stream: z.boolean().default(false),
  stream_options: z.object({ include_usage: z.boolean().default(false) }).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  max_tokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  top_k: z.int().min(-1).optional().describe('as vLLM takes it: 0 and -1 are off'),
  min_p: z.number().min(0).max(1).optional(),
  seed: z.int().optional().describe('of the first choice; the next ones count up from it'),
  stop: z.union([z.string(), z.array(z.string())], 'a string, or an array of strings').optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  repetition_penalty: z.number().optional(),
  no_repeat_ngram_size: z.int().min(0).optional().describe('no run of so many tokens comes twice; 0: off'),
  max_pixels: z.int().min(1).optional().describe('images are seen in no more pixels'),
  logprobs: z.boolean().default(false),
  top_logprobs: z.int().min(0).max(20).optional(),
  response_format: responseFormatSchema.optional(),
  user: z.string().max(512).optional().describe('kept with the job, as metadata.user'),
  metadata: metadataSchema.optional().describe('up to 16 strings that stay with the job'),
  priority,
  deadline_ms,
  cache,
  store: passedOver,
  service_tier: passedOver,
  parallel_tool_calls: passedOver,
  safety_identifier: passedOver,
  prompt_cache_key: passedOver,
  prompt_cache_retention: passedOver,
  tools: only(none, noTools),
  functions: only(none, noTools),
  tool_choice: only(z.enum(['none', 'auto']), noTools),
  function_call: only(z.enum(['none', 'auto']), noTools),
  logit_bias: only(
    z.record(z.string(), z.unknown()).refine((bias) => Object.keys(bias).length === 0),
    'no entries, as it is not supported',
  ),
  modalities: only(z.array(z.literal('text')), 'text alone'),
  audio: only(z.never(), nothing),
  prediction: only(z.never(), nothing),
  web_search_options: only(z.never(), nothing),
  reasoning_effort: only(z.literal('none'), 'none, as nothing else is supported'),
  verbosity: only(z.literal('medium'), 'medium, as nothing else is supported'),
})
export type ChatRequest = z.infer<typeof chatRequestSchema>
