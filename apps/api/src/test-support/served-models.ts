import { type ModelManifest, type ModelStats, noModelStats, VisionQueueError } from '@vision-queue/protocol'
import type { ModelDirectory, ServedModel } from '@vision-queue/queue/producer'
import { z } from 'zod'

const manifest: ModelManifest = {
  name: 'shapes-vqa',
  version: '1',
  task: 'visual-question-answering',
  variant: 'int8',
  provider: 'cpu',
  maxBatchSize: 16,
  inputSchema: z.record(z.string(), z.json()).parse(
    z.toJSONSchema(
      z.strictObject({
        question: z.string().min(1).max(100),
        candidate_labels: z.array(z.string()).min(1).optional(),
        page: z.int().min(0).optional(),
      }),
    ),
  ),
  parametersSchema: z
    .record(z.string(), z.json())
    .parse(z.toJSONSchema(z.strictObject({ top_k: z.int().min(1).max(5).default(1) }), { io: 'input' })),
  outputSchema: { type: 'object', properties: { answers: { type: 'array' } } },
  labels: ['red', 'green'],
}

const busy: ModelStats = {
  batches: { '1': 3, '8': 1 },
  jobs: { succeeded: 9, failed: 1 },
  inferenceMs: 80,
  preprocessMs: 12,
  engineRestarts: 2,
  launches: { reasons: { idle: 3, full: 1 }, predicted: 4, predictedMs: 70, actualMs: 84 },
  cost: { fixedMs: 2, perItemMs: 4, p99OverMs: 3, batchSize: 16 },
  capacity: 200,
}

/** A model version with so many live consumers; the first one has run 4 batches and finished 10 jobs. */
export function servedModel(
  changes: Partial<ModelManifest> = {},
  consumers = 1,
): ServedModel & { manifest: ModelManifest } {
  const changed = { ...manifest, ...changes }
  return {
    name: changed.name,
    version: changed.version,
    manifest: changed,
    status: consumers > 0 ? 'ready' : 'no_consumers',
    error: null,
    retryAt: null,
    loading: null,
    serving: false,
    reported: consumers > 0,
    aliases: [],
    queueParts: 1,
    rememberedCapacity: 200,
    consumers: Array.from({ length: consumers }, (_, index) => ({
      id: `consumer-${index}`,
      manifest: changed,
      stats: index === 0 ? busy : noModelStats,
      engines: 1,
      enginesUp: 1,
      startedAt: 1_750_000_000_000,
      heartbeatAt: 1_750_000_005_000,
      process: { cpuSeconds: 1, engineCpuSeconds: 2, residentBytes: 3, eventLoopDelayMs: 4 },
    })),
  }
}

/** A directory in memory; `down` as when Redis is away. */
export interface MemoryModels extends ModelDirectory {
  models: ServedModel[]
  down: boolean
  orders: Parameters<ModelDirectory['order']>[0][]
  /** As `name@version`. */
  forgotten: string[]
  /** Whether another process tells the figures that all know; `refused`: Redis takes no writes. */
  figuresElsewhere: boolean | 'refused'
}

export function openMemoryModels(models: ServedModel[] = [servedModel()]): MemoryModels {
  const memory: MemoryModels = {
    models,
    down: false,
    orders: [],
    forgotten: [],
    figuresElsewhere: false,
    async list() {
      if (memory.down) throw new VisionQueueError('queue_unavailable', 'The queue is away.', { retryAfterMs: 1000 })
      return memory.models
    },
    async order(order) {
      memory.orders.push(order)
    },
    async forget(name, version) {
      memory.forgotten.push(`${name}@${version}`)
      return true
    },
    async claimFigures() {
      if (memory.figuresElsewhere === 'refused') throw new VisionQueueError('queue_unavailable', 'Redis is full.')
      return !memory.figuresElsewhere
    },
    async close() {},
  }
  return memory
}
