import type { ErrorCode } from '@vision-queue/protocol'

import { intakeRefusals } from '../../intake/refusals.ts'
import {
  answer,
  bodyRefusals,
  idempotencyKey,
  imageRefusals,
  parameter,
  problems,
  ref,
  requestId,
  text,
  traceparent,
} from '../native/openapi-parts.ts'
import { chatCompletionSchema } from './completion.ts'
import { chunkSchema } from './chunks.ts'
import { openAiErrorSchema } from './error-response.ts'
import { openAiModelListSchema, openAiModelSchema } from './models.ts'
import { chatRequestSchema } from './request-schema.ts'

/** The schemas of this door, by their names in the document. */
export const openAiComponents = {
  ChatCompletionRequest: chatRequestSchema,
  ChatCompletion: chatCompletionSchema,
  ChatCompletionChunk: chunkSchema,
  OpenAiModel: openAiModelSchema,
  OpenAiModelList: openAiModelListSchema,
  OpenAiError: openAiErrorSchema,
}

/** What a job may end with instead of an answer. */
const jobFailures = [
  'job_canceled',
  'deadline_exceeded',
  'engine_crashed',
  'inference_failed',
  'payload_expired',
] as const satisfies readonly ErrorCode[]

/** As `problems`, in OpenAI's form. */
function openAiProblems(...codes: ErrorCode[]): Record<string, object> {
  const content = { 'application/json': { schema: ref('OpenAiError') } }
  return Object.fromEntries(
    Object.entries(problems(...codes)).map(([status, entry]) => [status, { ...entry, content }]),
  )
}

/** The routes of this door, for openApiPaths. */
export const openAiPaths: Record<string, object> = {
  '/v1/chat/completions': {
    post: {
      operationId: 'createChatCompletion',
      summary: "Ask a model as with OpenAI's API",
      description:
        'Each choice is a job of the queue. A client that goes away without an answer cancels its jobs, unless it sent ' +
        'an Idempotency-Key. docs/openai.md tells what of a request is honoured, refused and passed over.',
      tags: ['openai'],
      parameters: [requestId, traceparent, idempotencyKey],
      requestBody: { required: true, content: { 'application/json': { schema: ref('ChatCompletionRequest') } } },
      responses: {
        '200': {
          description:
            'The answer; with stream, server-sent events whose data is a ChatCompletionChunk, or an OpenAiError where ' +
            'the answer breaks off, and [DONE] at the end',
          headers: {
            'X-Job-Id': { description: 'the job of each choice, separated by commas', schema: text },
            'Idempotent-Replayed': {
              description: 'true: this is the answer to an earlier request with the same Idempotency-Key',
              schema: text,
            },
          },
          content: {
            'application/json': { schema: ref('ChatCompletion') },
            'text/event-stream': { schema: text },
          },
        },
        ...openAiProblems(
          ...bodyRefusals,
          ...imageRefusals,
          ...intakeRefusals,
          'image_unreachable',
          'fetches_full',
          ...jobFailures,
        ),
      },
    },
  },
  '/v1/models': {
    get: {
      operationId: 'listOpenAiModels',
      summary: "What can be run, as OpenAI's API lists it",
      tags: ['openai'],
      responses: { '200': answer('All known models', 'OpenAiModelList'), ...openAiProblems('queue_unavailable') },
    },
  },
  '/v1/models/{id}': {
    get: {
      operationId: 'getOpenAiModel',
      summary: "One model, as OpenAI's API shows it",
      tags: ['openai'],
      parameters: [parameter('path', 'id', 'name, name@version or name@alias', text)],
      responses: {
        '200': answer('The model', 'OpenAiModel'),
        ...openAiProblems('model_not_found', 'model_unavailable', 'queue_unavailable'),
      },
    },
  },
}
