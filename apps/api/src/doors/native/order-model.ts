import { type ModelAction, modelActionSchema, modelVersionSchema } from '@vision-queue/protocol'
import type { ModelDirectory } from '@vision-queue/queue/producer'
import { z } from 'zod'

import type { ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { parseRequest } from '../../expectation.ts'
import { findModel, groupByName } from '../../intake/model-choice.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { parseJsonBody } from './plain-json.ts'
import { readBody } from './read-body.ts'

/** The body, which may be left out. */
export const orderBodySchema = z.strictObject({
  version: modelVersionSchema.nullish().describe('a version or an alias; without it, all versions'),
})

export const acceptedOrderSchema = z.object({
  model: z.string(),
  version: z.string().nullable(),
  action: modelActionSchema,
  forgotten: z.array(z.string()).describe('versions that no consumer has any more, taken out of the list'),
  urls: z.object({ model: z.string() }),
})

interface Options {
  models: ModelDirectory
  bodyBudget: BodyBudget
  settings: ApiSettings
  action: ModelAction
}

const maxBodyBytes = 4096

/** `POST /models/{name}/load|unload|reload`: 202 once the order stands in Redis, where all consumers find it. */
export function orderModel({ models, bodyBudget, settings, action }: Options): ApiHandler {
  return async (c) => {
    const limits = { maxBytes: maxBodyBytes, timeoutMs: settings.BODY_TIMEOUT_MS, budget: bodyBudget }
    const body = await readBody(c.env, limits)
    const { version: wanted } = body.length === 0 ? {} : parseRequest(orderBodySchema, parseJsonBody(body))
    const name = c.req.param('name') ?? ''
    const reference = wanted === undefined || wanted === null ? name : `${name}@${wanted}`
    const { group, model, pinned } = findModel(groupByName(await models.list()), reference)
    const version = pinned ? model : null

    // There is nothing to load anew of what isn't loaded.
    const ordered = action === 'reload' && version?.status === 'unloaded' ? 'load' : action
    await models.order({ name: group.name, version: version?.version ?? null, action: ordered })
    const forgotten: string[] = []
    if (action === 'unload') {
      // In no live consumer's repository: nobody else would ever take it out of the list.
      const orphans = (version === null ? group.versions : [version]).filter(({ reported }) => !reported)
      for (const orphan of orphans) {
        if (await models.forget(orphan.name, orphan.version)) forgotten.push(orphan.version)
      }
    }
    const accepted: z.infer<typeof acceptedOrderSchema> = {
      model: group.name,
      version: version?.version ?? null,
      action,
      forgotten,
      urls: { model: c.get('addressOf')(`/models/${group.name}`) },
    }
    return c.json(accepted, 202, { 'Cache-Control': 'no-store' })
  }
}
