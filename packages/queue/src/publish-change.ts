import type { JobChange } from './job-change.ts'
import { jobChannel, resultKey } from './keys.ts'

import type { RedisClient } from '@vision-queue/redis'

/** The key only says which node of a Cluster it runs on. */
const publishScript = `return redis.call('PUBLISH', ARGV[1], ARGV[2])`

/**
 * Tells a job's readers of a change. On a Cluster a job's changes all go out from the node that has its result, for
 * messages that come from two nodes may overtake each other.
 */
export async function publishChange(redis: RedisClient, id: string, change: JobChange): Promise<void> {
  const message = JSON.stringify(change)
  if (redis.isCluster) await redis.eval(publishScript, 1, resultKey(id), jobChannel(id), message)
  else await redis.publish(jobChannel(id), message)
}
