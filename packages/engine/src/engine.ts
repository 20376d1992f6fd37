import { toVisionQueueError, VisionQueueError, type ModelManifest } from '@vision-queue/protocol'

import { createDynamicBatcher, type DynamicBatcher } from './batching/dynamic-batcher.ts'
import { createEngineOutbox } from './engine-outbox.ts'
import {
  toEngineSchema,
  type EngineAnswer,
  type EngineJob,
  type EngineOptions,
  type FromEngine,
} from './engine-protocol.ts'
import { isPassing } from './load-failure.ts'
import { createMemoryGuard } from './batching/memory-guard.ts'
import { isOutOfMemory } from './onnx/out-of-memory.ts'
import { dropReason, type BatchItem, type BatchOutcome, type BatchRun } from './batching/run-or-split.ts'
import type { StepBatcherOptions } from './batching/step-batcher.ts'
import type { TaskOutput } from './task-output.ts'

/** The engine's line to the pool that started it. */
export interface EngineChannel {
  /** Resolves when the message has left this process. */
  send: (message: FromEngine) => Promise<void>
  onMessage: (listener: (message: unknown) => void) => void
  /** The pool has ended or has hung up. */
  onDisconnect: (listener: () => void) => void
}

/** What an engine needs of a model. */
export interface EngineModel<Prepared> {
  manifest: ModelManifest
  prepare: (job: EngineJob) => Promise<Prepared>
  run: (items: readonly Prepared[]) => Promise<(TaskOutput | Error)[]>
  /** Where answers take many runs; `run` is not used then. */
  openSteps?: (options: StepBatcherOptions<Item<Prepared>>) => DynamicBatcher<Item<Prepared>>
  /** Jobs of different shapes do not share a batch. Default: all are alike. */
  shapeOf?: (item: Prepared) => string
  /** Runs that were measured at warm-up. */
  warmUpRuns?: readonly BatchRun[]
}

/** A job on its way through the engine. */
export interface Item<Prepared> extends BatchItem {
  id: string
  prepared: Prepared
  preprocessMs: number
}

/**
 * Loads the model, says so, and from then on prepares every job the moment it comes and runs those
 * that are ready in batches. Jobs are prepared in libuv's threads while a batch holds the JavaScript
 * thread: that is how batch k+1 is decoded while batch k runs.
 *
 * Calls `exit` when the model can't be loaded (1) and when the pool is gone (0).
 */
export async function startEngine<Prepared>({
  channel,
  loadModel,
  exit,
  options: { latencyObjectiveMs = 0, memoryLimitBytes = 0 } = {},
}: {
  channel: EngineChannel
  loadModel: () => Promise<EngineModel<Prepared>>
  options?: Pick<EngineOptions, 'latencyObjectiveMs' | 'memoryLimitBytes'>
  exit: (code: number) => void
}): Promise<void> {
  channel.onDisconnect(() => {
    exit(0)
  })
  let model: EngineModel<Prepared>
  try {
    model = await loadModel()
  } catch (error) {
    const { detail, cause } =
      error instanceof VisionQueueError
        ? error
        : new VisionQueueError('model_unavailable', 'The model could not be loaded.', { cause: error })
    await channel.send({ kind: 'unavailable', detail, cause: describeCause(cause), passing: isPassing(error) })
    exit(1)
    return
  }

  const { prepare, run, openSteps, shapeOf, warmUpRuns = [], manifest } = model
  /** Jobs that are not answered yet; true where the pool wants them no more. */
  const canceled = new Map<string, boolean>()
  let preparing = 0
  const guard = createMemoryGuard({ limitBytes: memoryLimitBytes, maxBatchSize: manifest.maxBatchSize })
  const outbox = createEngineOutbox({
    send: channel.send,
    state() {
      const { user, system } = process.cpuUsage()
      const { limit: batchLimit, cost } = batcher
      return { cpuSeconds: (user + system) / 1e6, batchLimit, cost, residentBytes: guard.residentBytes }
    },
  })
  const events: Pick<StepBatcherOptions<Item<Prepared>>, 'onLaunch' | 'onSettled'> = {
    // Awaited, so that the pool knows the suspects before anything can go wrong with them.
    onLaunch: async (items) => outbox.launch(items.map((item) => item.id)),
    onSettled(outcomes, runs, launch) {
      for (const { item } of outcomes) canceled.delete(item.id)
      guard.look()
      outbox.answer(outcomes.map(toAnswer), runs, launch)
    },
  }
  const batcher: DynamicBatcher<Item<Prepared>> =
    openSteps === undefined
      ? createDynamicBatcher<Item<Prepared>, TaskOutput>({
          maxBatchSize: manifest.maxBatchSize,
          run: async (items) => run(items.map((item) => item.prepared)),
          isOutOfMemory,
          preparing: () => preparing,
          objectiveMs: latencyObjectiveMs,
          seed: warmUpRuns,
          sizeLimit: () => guard.batchLimit,
          ...(shapeOf === undefined ? {} : { shapeOf: (item) => shapeOf(item.prepared) }),
          ...events,
        })
      : openSteps({
          ...events,
          onText(pieces) {
            const tokens = pieces.map(({ item, piece }) => ({ id: item.id, ...piece }))
            channel.send({ kind: 'tokens', tokens }).catch(() => {})
          },
        })

  async function accept(job: EngineJob): Promise<void> {
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
      outbox.answer([toErrorAnswer(id, toVisionQueueError(error, 'inference_failed'))])
    }
  }

  channel.onMessage((raw) => {
    const message = toEngineSchema.parse(raw)
    switch (message.kind) {
      case 'jobs':
        for (const job of message.jobs) void accept(job)
        break
      case 'cancel':
        if (canceled.has(message.id)) canceled.set(message.id, true)
        break
      case 'drain':
        batcher.drain()
        break
      default:
        message satisfies never
    }
  })
  await channel.send({ kind: 'ready', manifest, cost: batcher.cost, residentBytes: guard.residentBytes })
}

function toAnswer<Prepared>(outcome: BatchOutcome<Item<Prepared>, TaskOutput>): EngineAnswer {
  const { id, preprocessMs } = outcome.item
  switch (outcome.kind) {
    case 'value':
      return {
        kind: 'value',
        id,
        output: outcome.value,
        preprocessMs,
        inferenceMs: outcome.runMs,
        batchSize: outcome.batchSize,
      }
    case 'error':
      return toErrorAnswer(id, outcome.error)
    case 'canceled':
      return { kind: 'canceled', id }
    default:
      return outcome satisfies never
  }
}

function toErrorAnswer(id: string, { code, detail, cause }: VisionQueueError): EngineAnswer {
  return { kind: 'error', id, error: { code, detail }, cause: describeCause(cause) }
}

/** An inner error's message for logs, cut: some hold whole tensors. */
function describeCause(cause: unknown): string | null {
  return cause instanceof Error ? cause.message.slice(0, 500) : null
}
