import type { EngineJob } from '@vision-queue/engine/messages'
import type { RequestContext } from '@vision-queue/process'

/** A job in a pool. The executor knows by `job.id` who waits for it. */
export interface PoolJob {
  /** As engines get it. Its id is a number of the pool's own, because a caller may ask for one id twice at a time. */
  readonly job: EngineJob
  /** The caller's id. */
  readonly callerId: string
  /** The request that it came with, for the log. */
  readonly context?: RequestContext | undefined
  /** True once its caller has been answered or has gone. It is not handed out any more. */
  settled: boolean
  /** It may have killed an engine. It runs in an engine of its own. */
  suspect: boolean
  /** Engines that died while they had it. */
  deaths: number
}
