import { modelAliasesKey, modelCapacitiesKey, modelOrdersKey, modelsKey, modelVariantsKey } from '../keys.ts'

import { createAdmission } from '../producer/admission.ts'
import { createJobQueues } from '../job-queues.ts'
import type { RedisClient } from '@vision-queue/redis'

/**
 * Takes model versions out of what is known, once nobody waits for them: jobs pinned to the version,
 * or any job where it is the model's last one, keep it known. Whoever still has it announces it again
 * with the next heartbeat, so that a consumer may do this for its own repository alone.
 */
export interface ModelForgetting {
  /** Unfinished jobs that are pinned to the version. */
  countPinned(name: string, version: string): Promise<number>
  /** Unfinished jobs of the model, pinned ones among them. */
  countWaiting(name: string): Promise<number>
  /** Resolves to false while jobs wait. */
  forget(name: string, version: string): Promise<boolean>
  close(): Promise<void>
}

export function createModelForgetting(redis: RedisClient): ModelForgetting {
  const queues = createJobQueues(redis)
  const admission = createAdmission(redis)
  return {
    countPinned: async (name, version) => queues.countPinned(name, version),
    countWaiting: async (name) => (await admission.depth(name)).jobs,
    async forget(name, version) {
      const known = await redis.hkeys(modelsKey)
      const isLast = !known.some((key) => key.startsWith(`${name}@`) && key !== `${name}@${version}`)
      const waiting = isLast ? (await admission.depth(name)).jobs : await queues.countPinned(name, version)
      if (waiting > 0) return false
      const reference = `${name}@${version}`
      await Promise.all([
        redis.hdel(modelsKey, reference),
        redis.hdel(modelCapacitiesKey, reference),
        redis.unlink(modelVariantsKey(name, version)),
        redis.hdel(modelOrdersKey, reference, `reload ${reference}`),
        // How many parts its queue has had stays known: a job may have been accepted a moment ago.
        ...(isLast ? [redis.hdel(modelAliasesKey, name), redis.hdel(modelOrdersKey, name, `reload ${name}`)] : []),
      ])
      return true
    },
    async close() {
      await queues.close()
    },
  }
}
