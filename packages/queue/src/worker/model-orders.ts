import type { ModelAction } from '@vision-queue/protocol'
import { type ModelOrder, modelOrderSchema } from '../announcement.ts'
import { modelOrdersKey } from '../keys.ts'

import { parseJson } from '@vision-queue/redis'
import type { RedisClient } from '@vision-queue/redis'

/** What holds for one version: the later of the orders for it and for its model. */
export interface StandingOrder extends ModelOrder {
  /** When a reload was last asked for; 0: never. */
  reloadAt: number
}

export interface ModelOrders {
  of(name: string, version: string): StandingOrder
}

/**
 * Orders stand in Redis instead of being published: a consumer that was away, or starts later, finds
 * them. Consumers read them at every look at their repository.
 */
export async function readModelOrders(redis: RedisClient): Promise<ModelOrders> {
  const fields = await redis.hgetall(modelOrdersKey)
  const order = (field: string): ModelOrder => {
    const parsed = modelOrderSchema.safeParse(parseJson(fields[field] ?? ''))
    return parsed.success ? parsed.data : { wanted: 'configured', at: 0 }
  }
  return {
    of(name, version) {
      const one = `${name}@${version}`
      const [ofModel, ofVersion] = [order(name), order(one)]
      const latest = ofVersion.at > ofModel.at ? ofVersion : ofModel
      return { ...latest, reloadAt: Math.max(order(`reload ${name}`).at, order(`reload ${one}`).at) }
    },
  }
}

/**
 * ARGV: the field, what is wanted. By Redis' clock: the later of two orders holds, and the clocks of the API processes
 * that they came through may differ.
 */
const writeScript = `
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('HSET', KEYS[1], ARGV[1], '{"wanted":"' .. ARGV[2] .. '","at":' .. at .. '}')`

/** `version` null: all versions. `load` without a version goes back to what MODELS says. */
export async function giveModelOrder(
  redis: RedisClient,
  { name, version, action }: { name: string; version: string | null; action: ModelAction },
): Promise<void> {
  const reference = version === null ? name : `${name}@${version}`
  const write = async (field: string, wanted: ModelOrder['wanted']): Promise<void> => {
    await redis.eval(writeScript, 1, modelOrdersKey, field, wanted)
  }
  switch (action) {
    case 'load':
      return write(reference, version === null ? 'configured' : 'loaded')
    case 'unload':
      return write(reference, 'unloaded')
    case 'reload':
      return write(`reload ${reference}`, 'configured')
    default:
      return action satisfies never
  }
}
