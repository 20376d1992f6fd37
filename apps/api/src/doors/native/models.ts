import type { ModelDirectory } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../../api-env.ts'
import { groupByName, modelNotFound } from '../../intake/model-choice.ts'
import { modelDetail, modelResponse } from './model-response.ts'

/** `GET /models`: every model ever announced, by name. */
export function listModels(models: ModelDirectory): ApiHandler {
  return async (c) => c.json({ models: groupByName(await models.list()).map(modelResponse) })
}

/** `GET /models/{name}`: one model with the figures of its consumers. */
export function getModel(models: ModelDirectory): ApiHandler {
  return async (c) => {
    const name = c.req.param('name') ?? ''
    const groups = groupByName(await models.list())
    const model = groups.find((known) => known.name === name)
    if (model === undefined) throw modelNotFound(name, groups)
    return c.json(modelDetail(model))
  }
}
