import { createTurns, type Turns } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import type { Budget } from './budget.ts'
import { type BudgetKeys, budgetStep, budgetSteps, takeStep } from './budget-steps.ts'

const takeReplySchema = z.tuple([z.literal([0, 1]), z.number()])

/** By Redis' clock, over a connection that is there. `turns` knows `budgetSteps`. */
export function createRedisBudget(
  redis: RedisClient,
  keys: BudgetKeys,
  turns: Turns = createTurns(redis, budgetSteps),
): Budget {
  // In a full Redis too, as a job's end.
  const whenFull = true
  return {
    async take(id, entry) {
      const [reply] = await turns.run([takeStep(keys, id, entry)], { whenFull })
      const [taken, other] = takeReplySchema.parse(reply)
      return taken === 1 ? { taken: true, isNew: other === 1 } : { taken: false, roomInMs: other }
    },
    async extend(id, forMs) {
      await turns.run([budgetStep('extend', keys, [id, forMs])], { whenFull })
    },
    async release(id) {
      await turns.run([budgetStep('release', keys, [id])], { whenFull })
    },
  }
}
