import type { AnnouncedModel, QueuedJob } from '@vision-queue/queue'
import { type FinalJob, type ModelAliases, noModelStats } from '@vision-queue/protocol'
import type { JobSource } from '@vision-queue/queue/worker'

import { comingPool, runningPool } from './actual.ts'
import { describeAliases, type DescribedModel, describeModels } from './describe-models.ts'
import { createExecutor, type ExecutorOptions } from './executor.ts'
import { createFinishedJobs } from './finished-jobs.ts'
import type { ChosenPool } from '../jobs/run-job.ts'
import { createLook, type LookOptions } from './look.ts'

/**
 * Keeps what a consumer serves in step with its repository, its settings and the standing orders: looks
 * at them every `pollMs`, and brings each model to what they say. Nothing that lies in the repository
 * makes it fail: a folder that can't be loaded is a failed version, and is tried again when it changes.
 */
export interface ModelManager {
  describe(): { models: AnnouncedModel[]; aliases: Record<string, ModelAliases>; engines: number }
  engineCpuSeconds(): number
  /**
   * Takes no more jobs, lets running batches finish until `deadlineMs`, hands the rest back, and stops
   * the engines. Hangs while Redis is away: then `abandon`.
   */
  close(deadlineMs: number): Promise<void>
  /** Lets go of the queues and kills the engines at once. */
  abandon(): Promise<void>
}

export interface ModelManagerOptions extends LookOptions, Omit<ExecutorOptions, 'openSource'> {
  /** The pause between two looks. */
  pollMs: number
  openSource: (model: string, pinnedTo: string | null, handle: JobHandling) => JobSource
}

/** What a queue's processor needs of its model. */
export interface JobHandling {
  choosePool: (job: Pick<QueuedJob, 'modelVersion' | 'versionPinned'>) => ChosenPool | null
  onFinished: (final: FinalJob) => void
}

export function startModelManager(options: ModelManagerOptions): ModelManager {
  const { pollMs, log } = options
  const { look, close: closeLook } = createLook(options)
  const finished = createFinishedJobs()
  const executor = createExecutor({
    ...options,
    openSource: (model, pinnedTo) =>
      options.openSource(model, pinnedTo, {
        choosePool: (job) => executor.choosePool(model, job),
        onFinished: (final) => finished.count(model, final),
      }),
  })
  const { actual, pools, queues } = executor
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const loop = async (): Promise<void> => {
    try {
      const desired = await look(actual)
      if (closed) return
      executor.pursue(desired)
    } catch (error) {
      log.warn({ error: String(error) }, 'The model repository could not be looked at')
    }
    if (!closed) timer = setTimeout(() => void loop(), pollMs)
  }
  void loop()

  const withFigures = (described: DescribedModel): AnnouncedModel => {
    const { name, version } = described
    const pool = executor.poolOf(name, version, runningPool)
    const stats = { ...(pool?.stats() ?? noModelStats), ...finished.of(name, version) }
    const loading = executor.poolOf(name, version, comingPool)?.loading ?? pool?.loading ?? null
    return { ...described, loading, engines: pool?.engines ?? 0, enginesUp: pool?.enginesUp ?? 0, stats }
  }
  const stop = (): void => {
    closed = true
    clearTimeout(timer)
    closeLook()
    executor.stop()
  }

  return {
    describe() {
      const models = describeModels(executor.desired, actual).map(withFigures)
      return { models, aliases: describeAliases(actual), engines: pools.engines }
    },
    engineCpuSeconds: () => pools.cpuSeconds(),
    async close(deadlineMs) {
      stop()
      // Closing the queues first stops the fetching; closing the pools then hands back what waits in them.
      const taken = queues.close()
      await pools.closeAll(deadlineMs)
      await taken
    },
    async abandon() {
      stop()
      queues.abandon()
      await pools.closeAll(0)
    },
  }
}
