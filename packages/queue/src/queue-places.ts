import { createHash } from 'node:crypto'

import type { RedisClient } from '@vision-queue/redis'

import { modelPartsKey, placeOf } from './keys.ts'

/**
 * A queue in parts: past what one Redis node can do, a model's jobs are spread over several queues, each with a bound
 * and turns of its own. How many parts were ever used is remembered, so that no job is left in one nobody looks at.
 */

/** Over more parts no queue is spread. */
export const mostParts = 64

/** Into how many parts the model's queue was ever spread. */
export async function readParts(redis: RedisClient, model: string): Promise<number> {
  return Math.max(1, Number((await redis.hget(modelPartsKey, model)) ?? 1))
}

/** Of all parts that may have jobs of the model. */
export async function readPlaces(redis: RedisClient, model: string): Promise<string[]> {
  return Array.from({ length: await readParts(redis, model) }, (_, part) => placeOf({ model, part }))
}

/** ARGV: parts, models. */
const raiseScript = `
for index = 2, #ARGV do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[index]) or 1) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[1])
  end
end
return 1`

/** Remembers that the models' queues may have so many parts. Before anybody is told of it. */
export async function raiseParts(redis: RedisClient, models: Iterable<string>, parts: number): Promise<void> {
  if (parts > 1) await redis.eval(raiseScript, 1, modelPartsKey, parts, ...models)
}

/** In which order a job tries the parts. Those with the same text, as equal questions have, begin with the same one. */
export function partsInOrder(text: string, parts: number): number[] {
  if (parts === 1) return [0]
  const first = createHash('sha256').update(text).digest().readUInt32BE(0)
  return Array.from({ length: parts }, (_, index) => (first + index) % parts)
}

/** A part's share of a bound; those of all parts are the bound together. */
export function shareOf(bound: number, part: number, parts: number): number {
  return Math.floor(bound / parts) + (part < bound % parts ? 1 : 0)
}
