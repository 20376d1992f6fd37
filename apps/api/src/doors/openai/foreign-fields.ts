import { VisionQueueError } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import { fieldOfParameter } from './parameters.ts'
import type { ChatRequest } from './request-schema.ts'

/** An error of a submission about a job's fields as one about the fields of the request that the job was made of. */
export function withRequestFields(error: unknown, request: ChatRequest): unknown {
  if (!(error instanceof VisionQueueError) || error.fields.length === 0) return error
  const fields = error.fields.map(({ field, expected }) => ({ field: fieldOf(field, request), expected }))
  return refusal(error.code, fields, error.cause)
}

/** The same for the error that a job ended with, of which there is only the text. */
export function withRequestNames(error: VisionQueueError, request: ChatRequest): VisionQueueError {
  const found: string[] = []
  const detail = error.detail.replaceAll(/\b(?:input|parameters)\.\w+(?:\.\w+)*/g, (name) => {
    const field = fieldOf(name, request)
    found.push(field)
    return field
  })
  const fields = found.slice(0, 1).map((field) => ({ field, expected: detail }))
  return new VisionQueueError(error.code, detail, { fields })
}

function fieldOf(field: string, request: ChatRequest): string {
  const [place = '', name = '', ...rest] = field.split('.')
  if (place === 'parameters') {
    // Asked for by the number of alternatives, see parametersOf.
    const parameter = name === 'top_k' && request.top_k === undefined ? 'top_logprobs' : fieldOfParameter(name, request)
    return [parameter, ...rest].join('.')
  }
  if (place !== 'input') return field
  if (name === 'candidate_labels') return 'response_format'
  return name === 'messages' ? ['messages', ...rest].join('.') : 'messages'
}
