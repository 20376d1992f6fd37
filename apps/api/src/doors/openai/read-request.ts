import { modelReferenceSchema, VisionQueueError } from '@vision-queue/protocol'
import type { ModelDirectory } from '@vision-queue/queue/producer'
import type { Context } from 'hono'
import { z } from 'zod'

import type { ApiEnv } from '../../api-env.ts'
import { parseRequest } from '../../expectation.ts'
import type { Intake } from '../../intake/intake.ts'
import { chooseModel } from '../../intake/model-choice.ts'
import { parseJsonBody } from '../native/plain-json.ts'
import type { SubmissionLimits } from '../native/question.ts'
import { readTypedBody, type TypedBodyOptions } from '../native/typed-body.ts'
import { type ChatQuestions, questionsOf } from './questions.ts'
import { type ChatRequest, chatRequestSchema } from './request-schema.ts'

export interface ReadChatOptions extends SubmissionLimits, TypedBodyOptions {
  intake: Pick<Intake, 'assertModelIsKnown'>
  models: Pick<ModelDirectory, 'list'>
  /** Of a request that names none. */
  defaultModel: string
}

/** A request, and what it asks of the model that it names. */
export interface ReadChat extends ChatQuestions {
  request: ChatRequest
}

const modelSchema = z.object({ model: modelReferenceSchema })

/** Reads the body. As at the other doors, a model that isn't there goes before all other faults. */
export async function readChat(c: Context<ApiEnv>, options: ReadChatOptions): Promise<ReadChat> {
  const { kind, bytes } = await readTypedBody(c, options)
  if (kind !== 'json') throw new VisionQueueError('unsupported_media_type', 'The body has to be application/json.')
  const body = parseJsonBody(bytes)
  try {
    const request = parseRequest(chatRequestSchema, body)
    const { manifest } = chooseModel(await options.models.list(), request.model ?? null, options.defaultModel)
    return { request, ...questionsOf(request, manifest, options) }
  } catch (error) {
    const named = modelSchema.safeParse(body)
    if (named.success) await options.intake.assertModelIsKnown(named.data.model)
    throw error
  }
}
