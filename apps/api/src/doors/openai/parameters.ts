import type { FieldError } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import type { JsonValue } from '../../intake/submission.ts'
import type { ChatForm } from './chat-form.ts'
import type { Conversation } from './conversation.ts'
import type { ChatRequest } from './request-schema.ts'

/** A wish of the request that is a parameter of jobs, where the model has it. */
interface Wish {
  /** By its name in the request. */
  field: string
  /** By its native name. */
  parameter: string
  value: JsonValue | undefined
  /** Whether a model that lacks the parameter answers as wished all the same. */
  neutral: boolean
}

interface Wished {
  request: ChatRequest
  conversation: Conversation
  /** Whether the labels of response_format have become an input. */
  choosesLabels: boolean
}

/** Native names of parameters that OpenAI's API calls otherwise. */
const otherNames: Readonly<Record<string, string>> = { max_new_tokens: 'max_completion_tokens' }

/** The name of a native parameter in requests of this door. */
export function fieldOfParameter(parameter: string, request: ChatRequest): string {
  if (parameter === 'max_new_tokens' && request.max_completion_tokens === undefined) return 'max_tokens'
  return otherNames[parameter] ?? parameter
}

/**
 * The parameters of the request's jobs, the seed left out. What the model lacks is dropped where the answer is as wished
 * without it; else it throws `invalid_request`, which names the fields.
 */
export function parametersOf(form: ChatForm, wished: Wished): Record<string, JsonValue> {
  const { request } = wished
  // Without it `top_k` and others of these names are something else.
  const generates = form.parameters.has('max_new_tokens')
  const refused: FieldError[] = []
  if (request.top_logprobs !== undefined && !request.logprobs) {
    refused.push({ field: 'top_logprobs', expected: 'nothing without logprobs, which is to be true beside it' })
  }
  const parameters: Record<string, JsonValue> = {}
  for (const { field, parameter, value, neutral } of wishes(form, wished)) {
    if (value === undefined) continue
    if (generates && form.parameters.has(parameter)) parameters[parameter] = atMost(form, parameter, value)
    else if (!neutral) refused.push({ field, expected: 'nothing, or its neutral value: this model does not have it' })
  }
  if (request.n > 1 && !form.parameters.has('seed')) {
    refused.push({ field: 'n', expected: '1, as this model always gives the same answer' })
  }
  if (refused.length > 0) throw refusal('invalid_request', refused)
  // As many answers as are to be told of.
  const top = form.scored && !generates && form.parameters.has('top_k') ? (request.top_logprobs ?? 0) : 0
  return top > 1 ? { ...parameters, top_k: top } : parameters
}

function wishes({ scored }: ChatForm, { request, conversation, choosesLabels }: Wished): Wish[] {
  const { response_format: format, stop, logprobs, temperature, top_p: topP, top_k: topK } = request
  const field = fieldOfParameter('max_new_tokens', request)
  return [
    // No answer of a model that lacks it is longer than a few words.
    {
      field,
      parameter: 'max_new_tokens',
      value: request.max_completion_tokens ?? request.max_tokens,
      neutral: true,
    },
    // 1 is what OpenAI's API takes where it is left out, and what some clients send.
    same('temperature', temperature, temperature === 0 || temperature === 1),
    same('top_p', topP, topP === 1),
    // vLLM: 0 and -1 are off; 1 is the likeliest token, as a model without it gives.
    same('top_k', topK !== undefined && topK < 1 ? undefined : topK, topK === 1),
    same('min_p', request.min_p, request.min_p === 0),
    same('repetition_penalty', request.repetition_penalty, request.repetition_penalty === 1),
    same('presence_penalty', request.presence_penalty, request.presence_penalty === 0),
    same('frequency_penalty', request.frequency_penalty, request.frequency_penalty === 0),
    same('no_repeat_ngram_size', request.no_repeat_ngram_size, request.no_repeat_ngram_size === 0),
    // It is asked for to bound what an image costs, which a model without it can't.
    same('max_pixels', request.max_pixels, false),
    same('seed', request.seed, true),
    same('stop', typeof stop === 'string' ? [stop] : stop, stop?.length === 0),
    same('detail', conversation.detail ?? undefined, true),
    same('logprobs', logprobs ? true : undefined, scored),
    same('top_logprobs', logprobs ? request.top_logprobs : undefined, true),
    same('response_format', choosesLabels ? undefined : nativeFormat(format), false),
  ]
}

function same(name: string, value: JsonValue | undefined, neutral: boolean): Wish {
  return { field: name, parameter: name, value, neutral }
}

function nativeFormat(format: ChatRequest['response_format']): JsonValue | undefined {
  if (format === undefined || format.type === 'text') return undefined
  if (format.type !== 'json_schema') return format
  const { schema, ...rest } = format.json_schema
  const given = Object.entries(rest).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return { type: format.type, json_schema: { ...Object.fromEntries(given), schema } }
}

/** Who asks for more tokens than the model can give asks for all that it can give; `finish_reason` tells if that cut it. */
function atMost(form: ChatForm, parameter: string, value: JsonValue): JsonValue {
  const most = parameter === 'max_new_tokens' ? form.parameters.get(parameter) : null
  return typeof value === 'number' && most != null ? Math.min(value, most) : value
}
