import { VisionQueueError } from '@vision-queue/protocol'

import { createMemoryGuard } from './batching/memory-guard.ts'
import { describeCause } from './engine-answer.ts'
import { createEngineJobs, type EngineJobs, type EngineModel } from './engine-jobs.ts'
import { createEngineOutbox } from './engine-outbox.ts'
import { engineProtocol, type EngineOptions, type FromEngine } from './engine-protocol.ts'
import { createJobImages, type JobImages } from './images/job-images.ts'
import type { OnLoadStep } from './load-step.ts'
import { isPassing } from './load-failure.ts'
import { readToEngine } from './read-messages.ts'

export type { EngineModel } from './engine-jobs.ts'

/** The engine's line to the pool that started it. */
export interface EngineChannel {
  /** Resolves when the message has left this process. */
  send: (message: FromEngine) => Promise<void>
  onMessage: (listener: (message: unknown) => void) => void
  /** The pool has ended or has hung up. */
  onDisconnect: (listener: () => void) => void
}

/**
 * Loads the model, says so, and from then on answers the jobs that come over the channel, see createEngineJobs.
 *
 * Calls `exit` when the model can't be loaded (1) and when the pool is gone (0). Resolves to a function that ends what
 * the engine has opened besides the model, for engines that are no processes of their own.
 */
export async function startEngine<Prepared>({
  channel,
  loadModel,
  exit,
  options: { latencyObjectiveMs = 0, memoryLimitBytes = 0 } = {},
}: {
  channel: EngineChannel
  loadModel: (onStep: OnLoadStep) => Promise<EngineModel<Prepared>>
  options?: Pick<EngineOptions, 'latencyObjectiveMs' | 'memoryLimitBytes'>
  exit: (code: number) => void
}): Promise<() => Promise<void>> {
  channel.onDisconnect(() => {
    exit(0)
  })
  let model: EngineModel<Prepared>
  try {
    model = await loadModel(async (loading) => channel.send({ kind: 'loading', loading }))
  } catch (error) {
    const { detail, cause } =
      error instanceof VisionQueueError
        ? error
        : new VisionQueueError('model_unavailable', 'The model could not be loaded.', { cause: error })
    await channel.send({ kind: 'unavailable', detail, cause: describeCause(cause), passing: isPassing(error) })
    exit(1)
    return async () => {}
  }

  const { manifest } = model
  const guard = createMemoryGuard({ limitBytes: memoryLimitBytes, maxBatchSize: manifest.maxBatchSize })
  const outbox = createEngineOutbox({
    send: channel.send,
    state() {
      const { user, system } = process.cpuUsage()
      const { limit: batchLimit, cost, generation } = jobs.batcher
      return { cpuSeconds: (user + system) / 1e6, batchLimit, cost, residentBytes: guard.residentBytes, generation }
    },
  })
  const images = createJobImages()
  const jobs = createEngineJobs(model, {
    outbox,
    guard,
    sendText: (tokens) => void channel.send({ kind: 'tokens', tokens }).catch(() => {}),
    latencyObjectiveMs,
    readImages: images.read,
  })
  channel.onMessage((message) => obey(message, jobs, images))
  const { residentBytes } = guard
  const { cost, generation } = jobs.batcher
  await channel.send({ kind: 'ready', protocol: engineProtocol, manifest, cost, residentBytes, generation })
  return images.close
}

function obey(raw: unknown, { accept, cancel, batcher }: EngineJobs, images: JobImages): void {
  const message = readToEngine(raw)
  switch (message.kind) {
    case 'jobs':
      for (const job of message.jobs) void accept(job)
      break
    case 'cancel':
      cancel(message.id)
      break
    case 'blobs':
      images.open(message.source)
      break
    case 'drain':
      batcher.drain()
      break
    default:
      message satisfies never
  }
}
