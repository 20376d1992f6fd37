import { toVisionQueueError, type ModelManifest } from '@vision-queue/protocol'

import { createDynamicBatcher, type DynamicBatcher } from './batching/dynamic-batcher.ts'
import type { MemoryGuard } from './batching/memory-guard.ts'
import { dropReason, type BatchRun } from './batching/run-or-split.ts'
import type { StepBatcherOptions } from './batching/step-batcher.ts'
import { describeCause, toAnswer, toErrorAnswer, type Item } from './engine-answer.ts'
import type { EngineOutbox } from './engine-outbox.ts'
import type { EngineJob, EngineText } from './engine-protocol.ts'
import { ImagesUnreadError, type JobImages } from './images/job-images.ts'
import { isOutOfMemory } from './onnx/out-of-memory.ts'
import type { TaskOutput } from './task-output.ts'

/** A job with the bytes of its images. */
export interface ReadJob extends Omit<EngineJob, 'images'> {
  images: readonly Uint8Array[]
}

/** What an engine needs of a model. */
export interface EngineModel<Prepared> {
  manifest: ModelManifest
  prepare: (job: ReadJob) => Promise<Prepared>
  run: (items: readonly Prepared[]) => Promise<(TaskOutput | Error)[]>
  /** Where answers take many runs; `run` is not used then. */
  openSteps?: (options: StepBatcherOptions<Item<Prepared>>) => DynamicBatcher<Item<Prepared>>
  /** Jobs of different shapes do not share a batch. Default: all are alike. */
  shapeOf?: (item: Prepared) => string
  /** Runs that were measured at warm-up. */
  warmUpRuns?: readonly BatchRun[]
}

/** The jobs of an engine, from their arrival until they are answered. */
export interface EngineJobs {
  /** Prepares a job at once and gives it to the batcher. Never rejects: what is wrong is the job's answer. */
  accept: (job: EngineJob) => Promise<void>
  /** The pool wants the job no more: it is dropped, unless its batch runs. */
  cancel: (id: string) => void
  readonly batcher: Pick<DynamicBatcher<never>, 'drain' | 'limit' | 'cost' | 'generation'>
}

interface Options {
  outbox: EngineOutbox
  guard: MemoryGuard
  /** Told the pieces of text that a step added to answers. */
  sendText: (tokens: EngineText[]) => void
  latencyObjectiveMs: number
  readImages: JobImages['read']
}

/**
 * Prepares every job the moment it comes and runs those that are ready in batches. Jobs are prepared in libuv's
 * threads while a batch holds the JavaScript thread: that is how batch k+1 is decoded while batch k runs.
 */
export function createEngineJobs<Prepared>(
  model: EngineModel<Prepared>,
  { outbox, guard, sendText, latencyObjectiveMs, readImages }: Options,
): EngineJobs {
  /** Jobs that are not answered yet; true where the pool wants them no more. */
  const canceled = new Map<string, boolean>()
  let preparing = 0
  const events: Pick<StepBatcherOptions<Item<Prepared>>, 'onLaunch' | 'onSettled'> = {
    // Awaited, so that the pool knows the suspects before anything can go wrong with them.
    onLaunch: async (items) => outbox.launch(items.map((item) => item.id)),
    onSettled(outcomes, runs, launch) {
      for (const { item } of outcomes) canceled.delete(item.id)
      guard.look()
      outbox.answer(outcomes.map(toAnswer), runs, launch)
    },
  }
  const { openSteps, shapeOf } = model
  const batcher: DynamicBatcher<Item<Prepared>> =
    openSteps === undefined
      ? createDynamicBatcher<Item<Prepared>, TaskOutput>({
          maxBatchSize: model.manifest.maxBatchSize,
          run: async (items) => model.run(items.map((item) => item.prepared)),
          isOutOfMemory,
          preparing: () => preparing,
          objectiveMs: latencyObjectiveMs,
          seed: model.warmUpRuns ?? [],
          sizeLimit: () => guard.batchLimit,
          ...(shapeOf === undefined ? {} : { shapeOf: (item) => shapeOf(item.prepared) }),
          ...events,
        })
      : openSteps({
          ...events,
          onText: (pieces) => sendText(pieces.map(({ item, piece }) => ({ id: item.id, ...piece }))),
        })

  async function prepare(job: EngineJob): Promise<Prepared> {
    return model.prepare({ ...job, images: await readImages(job.images) })
  }

  return {
    batcher,
    async accept(job) {
      const { id, deadlineAt } = job
      // It may have waited for an engine longer than it was to.
      const drop = dropReason({ deadlineAt, canceled: false })
      if (drop?.kind === 'error') {
        outbox.answer([toErrorAnswer(id, drop.error)])
        return
      }
      canceled.set(id, false)
      const started = performance.now()
      preparing += 1
      try {
        const prepared = await prepare(job).finally(() => {
          preparing -= 1
        })
        batcher.add({
          id,
          deadlineAt,
          prepared,
          preprocessMs: performance.now() - started,
          get canceled() {
            return canceled.get(id) ?? false
          },
        })
      } catch (error) {
        canceled.delete(id)
        if (error instanceof ImagesUnreadError) {
          outbox.answer([{ kind: 'unread', id, cause: describeCause(error.cause) }])
        } else outbox.answer([toErrorAnswer(id, toVisionQueueError(error, 'inference_failed'))])
      }
    },
    cancel(id) {
      if (canceled.has(id)) canceled.set(id, true)
    },
  }
}
