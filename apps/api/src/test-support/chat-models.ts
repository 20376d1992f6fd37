import type { ModelManifest } from '@vision-queue/protocol'
import { z } from 'zod'

import { servedModel } from './served-models.ts'

const schemaOf = (schema: z.ZodType): ModelManifest['inputSchema'] =>
  z.record(z.string(), z.json()).parse(z.toJSONSchema(schema, { io: 'input' }))

const partSchema = z.union([
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.strictObject({ type: z.literal('image') }),
])
const messageSchema = z.strictObject({
  role: z.enum(['system', 'user', 'assistant']),
  content: z.union([z.string(), z.array(partSchema)]),
})
const text = schemaOf(z.object({ text: z.string() }))
const labels = schemaOf(z.object({ labels: z.array(z.unknown()) }))

/** As a model that talks announces itself. */
export const chatModel = servedModel({
  name: 'shapes-chat',
  task: 'image-text-to-text',
  images: { min: 0, max: 16 },
  labels: null,
  inputSchema: schemaOf(
    z.strictObject({ prompt: z.string().optional(), messages: z.array(messageSchema).min(1).optional() }),
  ),
  parametersSchema: schemaOf(
    z.strictObject({
      max_new_tokens: z.int().min(1).max(1024).optional(),
      temperature: z.number().min(0).max(2).optional(),
      top_p: z.number().optional(),
      top_k: z.int().optional(),
      min_p: z.number().optional(),
      seed: z.int().optional(),
      repetition_penalty: z.number().optional(),
      presence_penalty: z.number().optional(),
      frequency_penalty: z.number().optional(),
      no_repeat_ngram_size: z.int().optional(),
      max_pixels: z.int().optional(),
      stop: z.array(z.string()).max(4).optional(),
      logprobs: z.boolean().optional(),
      top_logprobs: z.int().optional(),
      response_format: z.looseObject({ type: z.string() }).optional(),
      detail: z.enum(['low', 'high', 'auto']).optional(),
    }),
  ),
  outputSchema: text,
})

/** The other kinds of models that can be asked in a conversation, and one that can't. */
export const wordyModels = [
  servedModel(),
  servedModel({
    name: 'shapes-caption',
    task: 'image-to-text',
    inputSchema: schemaOf(z.strictObject({ prompt: z.string().optional() })),
    parametersSchema: schemaOf(
      z.strictObject({
        max_new_tokens: z.int().min(1).max(1024).optional(),
        num_beams: z.int().optional(),
        stop: z.array(z.string()).max(4).default([]),
      }),
    ),
    outputSchema: text,
  }),
  servedModel({
    name: 'shapes-entailment',
    task: 'visual-entailment',
    inputSchema: schemaOf(z.strictObject({ text: z.string() })),
    parametersSchema: schemaOf(z.strictObject({})),
    outputSchema: schemaOf(z.object({ label: z.string(), confidence: z.number(), scores: z.object({}) })),
  }),
  servedModel({
    name: 'shapes-classify',
    task: 'image-classification',
    inputSchema: schemaOf(z.strictObject({})),
    outputSchema: labels,
  }),
  servedModel({
    name: 'shapes-clip',
    task: 'zero-shot-image-classification',
    inputSchema: schemaOf(z.strictObject({ candidate_labels: z.array(z.string()) })),
    outputSchema: labels,
  }),
  servedModel({
    name: 'shapes-embed',
    task: 'image-feature-extraction',
    inputSchema: schemaOf(z.strictObject({})),
    outputSchema: schemaOf(z.object({ embedding: z.array(z.number()) })),
  }),
]
