import { randomInt } from 'node:crypto'

import type { ModelManifest } from '@vision-queue/protocol'
import { z } from 'zod'

import type { JsonValue } from './submission.ts'

/** The parameters of a job, and whether some of them were drawn. */
export interface DrawnParameters {
  parameters: Record<string, JsonValue>
  /** Another job that asks the same is meant to get another answer: this one's is neither kept nor shared. */
  drawn: boolean
}

const drawnSchema = z.object({
  properties: z
    .record(
      z.string(),
      z.looseObject({ default: z.json().optional(), 'x-drawn-unless': z.record(z.string(), z.json()).optional() }),
    )
    .catch({}),
})

/** The largest span that randomInt takes. */
const seeds = 2 ** 48 - 1

/**
 * Fills in the parameters that a model's schema wants drawn by lot where they are left out, such as the seed of an answer
 * that samples: marked by `x-drawn-unless`, with the parameters that make the lot needless and their values. All
 * attempts of the job then draw the same, and a reader of its text goes on where the attempt before it broke off.
 */
export function drawParameters(
  { parametersSchema }: Pick<ModelManifest, 'parametersSchema'>,
  sent: Record<string, JsonValue>,
): DrawnParameters {
  const { properties } = drawnSchema.parse(parametersSchema)
  const drawn = Object.entries(properties).flatMap(([name, { 'x-drawn-unless': unless }]) => {
    if (unless === undefined || sent[name] !== undefined) return []
    const isNeedless = Object.entries(unless).some(
      ([other, value]) => (sent[other] ?? properties[other]?.default) === value,
    )
    return isNeedless ? [] : [[name, randomInt(seeds)] as const]
  })
  return { parameters: { ...sent, ...Object.fromEntries(drawn) }, drawn: drawn.length > 0 }
}
