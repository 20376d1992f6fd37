import { blobSteps, budgetSteps } from '@vision-queue/blobs'
import { createTurns, queueSteps, type StepSources, type Turns } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'

import { admissionSteps } from './producer/admission-steps.ts'
import { quotaSteps } from './producer/quota-steps.ts'
import { recordSteps } from './record-steps.ts'
import { endSteps } from './worker/end-steps.ts'

/** All that is done with jobs in Redis' scripts: each piece of Lua once, whichever chain it is in. */
const jobSteps: StepSources = {
  ...queueSteps,
  ...blobSteps,
  ...budgetSteps,
  ...admissionSteps,
  ...quotaSteps,
  ...recordSteps,
  ...endSteps,
}

const opened = new WeakMap<RedisClient, Turns>()

/** The turns of a connection: what its users ask for in one turn of the event loop travels together. */
export function turnsOf(redis: RedisClient): Turns {
  const known = opened.get(redis) ?? createTurns(redis, jobSteps)
  opened.set(redis, known)
  return known
}
