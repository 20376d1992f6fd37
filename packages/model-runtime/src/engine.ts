import { toVisionQueueError, VisionQueueError, type ModelManifest } from '@vision-queue/jobs'

import {
  createDynamicBatcher,
  dropReason,
  type BatchItem,
  type BatchOutcome,
  type BatchRun,
  type DynamicBatcher,
} from './dynamic-batcher.ts'
import { toEngineSchema, type EngineAnswer, type EngineJob, type FromEngine } from './engine-protocol.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import type { StepBatcherOptions } from './step-batcher.ts'
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
}: {
  channel: EngineChannel
  loadModel: () => Promise<EngineModel<Prepared>>
  exit: (code: number) => void
}): Promise<void> {
  channel.onDisconnect(() => {
    exit(0)
  })
  let model: EngineModel<Prepared>
  try {
    model = await loadModel()
  } catch (error) {
    const { detail, cause } = toVisionQueueError(error, 'model_unavailable')
    await channel.send({ kind: 'unavailable', detail, cause: describeCause(cause) })
    exit(1)
    return
  }

  const { prepare, run, openSteps, manifest } = model
  /** Jobs that are not answered yet; true where the pool wants them no more. */
  const canceled = new Map<string, boolean>()
  const events: Pick<StepBatcherOptions<Item<Prepared>>, 'onLaunch' | 'onSettled'> = {
    // Awaited, so that the pool knows the suspects before anything can go wrong with them.
    onLaunch: async (items) => channel.send({ kind: 'launch', ids: items.map((item) => item.id) }),
    onSettled(outcomes, runs) {
      answer(outcomes.map(toAnswer), runs)
    },
  }
  const batcher =
    openSteps === undefined
      ? createDynamicBatcher<Item<Prepared>, TaskOutput>({
          maxBatchSize: manifest.maxBatchSize,
          run: async (items) => run(items.map((item) => item.prepared)),
          isOutOfMemory,
          ...events,
        })
      : openSteps({
          ...events,
          onText(pieces) {
            const tokens = pieces.map(({ item, piece }) => ({ id: item.id, ...piece }))
            channel.send({ kind: 'tokens', tokens }).catch(() => {})
          },
        })

  function answer(answers: EngineAnswer[], runs: BatchRun[]): void {
    for (const { id } of answers) canceled.delete(id)
    const { user, system } = process.cpuUsage()
    // A failed send means that the pool is gone, and then the engine ends anyway.
    channel
      .send({ kind: 'answers', answers, runs, cpuSeconds: (user + system) / 1e6, batchLimit: batcher.limit })
      .catch(() => {})
  }

  async function accept(job: EngineJob): Promise<void> {
    const { id, deadlineAt } = job
    canceled.set(id, false)
    const started = performance.now()
    try {
      // It may have waited for an engine longer than it was to.
      const drop = dropReason({ deadlineAt, canceled: false })
      if (drop?.kind === 'error') throw drop.error
      const prepared = await prepare(job)
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
      answer([toErrorAnswer(id, toVisionQueueError(error, 'inference_failed'))], [])
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
      default:
        message satisfies never
    }
  })
  await channel.send({ kind: 'ready', manifest })
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
