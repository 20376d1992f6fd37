import { modelReferenceSchema } from '@vision-queue/protocol'
import type { ModelDirectory, ServedModel } from '@vision-queue/queue/producer'
import { z } from 'zod'

import type { ApiHandler } from '../../api-env.ts'
import { findModel, groupByName, modelNotFound } from '../../intake/model-choice.ts'
import { chatFormOf } from './chat-form.ts'

export const openAiModelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('when its consumers began to serve it, in seconds since 1970; 0 where none does'),
  owned_by: z.string(),
  task: z.string().nullable().describe('Hugging Face’s name of it; null where no version was ever ready'),
  chat: z.boolean().nullable().describe('whether POST /v1/chat/completions asks it; null as task'),
})
type OpenAiModel = z.infer<typeof openAiModelSchema>

export const openAiModelListSchema = z.object({ object: z.literal('list'), data: z.array(openAiModelSchema) })

/** `GET /v1/models`: every model ever announced, by name. */
export function listOpenAiModels(models: ModelDirectory): ApiHandler {
  return async (c) => {
    const data = groupByName(await models.list()).map(({ name, serving }) => openAiModel(name, serving))
    return c.json({ object: 'list', data } satisfies z.infer<typeof openAiModelListSchema>)
  }
}

/** `GET /v1/models/{id}`: a model by name, name@version or name@alias. */
export function getOpenAiModel(models: ModelDirectory): ApiHandler {
  return async (c) => {
    const id = c.req.param('id') ?? ''
    const groups = groupByName(await models.list())
    if (!modelReferenceSchema.safeParse(id).success) throw modelNotFound(id, groups)
    return c.json(openAiModel(id, findModel(groups, id).model))
  }
}

function openAiModel(id: string, { manifest, consumers }: ServedModel): OpenAiModel {
  const since = Math.min(...consumers.map(({ startedAt }) => startedAt))
  return {
    id,
    object: 'model',
    created: Number.isFinite(since) ? Math.floor(since / 1000) : 0,
    owned_by: 'vision-queue',
    task: manifest?.task ?? null,
    chat: manifest === null ? null : chatFormOf(manifest) !== null,
  }
}
