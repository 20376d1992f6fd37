import {
  type BatchCost,
  imageCountSchema,
  imagesOfManifest,
  type ModelManifest,
  modelManifestSchema,
  type ModelStats,
} from '@vision-queue/protocol'
import type { ServedModel, ServingConsumer } from '@vision-queue/queue/producer'
import { z } from 'zod'

import { variantReason } from './variant-reason.ts'
import type { ModelVersions } from '../../intake/model-choice.ts'
import { gpuResponse, gpuResponseSchema } from './gpu-response.ts'
import { loadingResponse, loadingSchema } from './loading-response.ts'
import type { JsonValue } from '../../intake/submission.ts'

const jsonSchemaSchema = z.record(z.string(), z.json()).describe('a JSON Schema (2020-12)')

const statusSchema = z.enum(['ready', 'loading', 'failed', 'unloaded', 'no_consumers'])

const retryAtSchema = z.iso
  .datetime()
  .nullable()
  .describe('when engines that died are started again; null where nothing is tried before the files change')
const variantReasonSchema = z
  .string()
  .nullable()
  .describe('why that variant runs: what the fleet has decided, VARIANT, model.json, or what the machine is made for')

/** One version of a model. */
export const modelVersionResponseSchema = z.object({
  version: z.string(),
  status: statusSchema.describe(
    'no_consumers: jobs are accepted and wait; unloaded: there, but not selected or taken out; jobs are refused',
  ),
  error: z
    .string()
    .nullable()
    .describe(
      'why a consumer could not load it, could not load its newest files, or lacks engines; another may have it ready',
    ),
  retry_at: retryAtSchema,
  loading: loadingSchema,
  serving: z.boolean().describe('whether jobs that name no version run on it'),
  aliases: z.array(z.string()).describe('name@alias pins a job to the version the alias stands for'),
  variant: z.string().nullable().describe('such as fp32 or int8'),
  graph_variants: z
    .record(z.string(), z.string())
    .describe('the same by graph: a folder may have other variants for each'),
  variant_reason: variantReasonSchema,
  provider: z.string().nullable(),
  refused_providers: z
    .array(z.object({ provider: z.string(), reason: z.string() }))
    .describe('execution providers that were wanted more and could not be used'),
  consumers: z.int().describe('live consumers that have it ready'),
})

/** A model as `GET /models` lists it; where versions differ, the schemas are the serving version's. */
export const modelResponseSchema = z.object({
  name: z.string(),
  task: z.string().nullable().describe("Hugging Face's name of the task; null where no version was ever ready"),
  version: z.string().describe('the version that runs jobs which name none'),
  versions: z.array(z.string()).describe('newest first; name@version pins a job to one'),
  version_details: z.array(modelVersionResponseSchema).describe('newest first'),
  aliases: z.record(z.string(), z.string()).describe('versions by alias'),
  variants: z.array(z.string()).describe('such as fp32 or int8, of all versions on all consumers'),
  provider: z.string().nullable().describe('the execution provider, such as cpu'),
  labels: modelManifestSchema.shape.labels.describe('what the model can answer, where that is a fixed list'),
  images: imageCountSchema.nullable().describe('how many images a job has, at least and at most'),
  input: jsonSchemaSchema.nullable(),
  parameters: jsonSchemaSchema.nullable(),
  output: jsonSchemaSchema.nullable(),
  consumers: z.int().describe('live consumers that have a version ready'),
  max_batch_size: z.int().nullable(),
  status: statusSchema.describe("the serving version's"),
  error: z.string().nullable().describe('why it failed or lacks engines'),
  retry_at: retryAtSchema,
})
export type ModelResponse = z.infer<typeof modelResponseSchema>

const byPrioritySchema = z.object({ high: z.int(), normal: z.int(), low: z.int() })

/** What one consumer has done with one version of the model since it started. */
export const consumerStatsSchema = z.object({
  id: z.string(),
  version: z.string(),
  engines: z.int(),
  engines_up: z.int().describe('those of them that can take jobs now'),
  variant: z.string().nullable(),
  variant_reason: variantReasonSchema,
  provider: z.string().nullable(),
  started_at: z.iso.datetime(),
  heartbeat_at: z.iso.datetime(),
  batches: z.record(z.string(), z.int()).describe('session runs by batch size'),
  jobs: z.record(z.string(), z.int()).describe('finished jobs by state'),
  reused: z.int().describe('of those, how many took the answer of another job which asked the same'),
  mean_inference_ms: z.number().nullable().describe('per session run; null before the first'),
  engine_restarts: z.int(),
  launches: z
    .object({
      reasons: z
        .record(z.string(), z.int())
        .describe(
          'batches by why they were launched: full, idle (nothing else was being prepared), delay (the oldest job had waited as long as a launch costs), drain (the engine was to be emptied)',
        ),
      mean_predicted_ms: z.number().nullable(),
      mean_actual_ms: z.number().nullable(),
    })
    .describe('batches that were answered in one run, and what the cost said before they ran'),
  cost: z
    .object({
      fixed_ms: z.number(),
      per_item_ms: z.number(),
      p99_over_ms: z.number().describe('the 99th percentile of what launches took beyond that'),
      batch_size: z.int().describe('that batches are gathered to: the largest that is worth its latency'),
    })
    .nullable()
    .describe(
      'a batch of n takes fixed_ms + n x per_item_ms; null before it is known and where answers take many runs',
    ),
  capacity: z.number().nullable().describe('jobs a second when there is always work; null before it is known'),
  devices: z
    .array(z.int())
    .describe('the GPUs that its engines are placed on in turn, as the provider counts them; none on a CPU'),
  gpus: z.array(gpuResponseSchema).describe('all GPUs of its machine, where nvidia-smi tells of them'),
  remote: z
    .object({
      window: byPrioritySchema.describe('the most jobs that the server may have; it follows what the server says'),
      in_flight: byPrioritySchema,
      refused: z.int().describe('times that it had no room for a job'),
    })
    .optional()
    .describe('of a model that a server elsewhere runs'),
})

/** A model as `GET /models/{name}` shows it. */
export const modelDetailSchema = modelResponseSchema.extend({ consumer_stats: z.array(consumerStatsSchema) })

export function modelResponse({ name, serving, versions }: ModelVersions): ModelResponse {
  const { manifest, status } = serving
  return {
    name,
    task: manifest?.task ?? null,
    version: serving.version,
    versions: versions.map(({ version }) => version),
    version_details: versions.map(versionResponse),
    aliases: Object.fromEntries(versions.flatMap(({ version, aliases }) => aliases.map((alias) => [alias, version]))),
    variants: [...new Set(versions.flatMap(variantsOf))],
    provider: manifest?.provider ?? null,
    labels: manifest?.labels ?? null,
    images: manifest === null ? null : imagesOfManifest(manifest),
    input: manifest === null ? null : withImages(manifest),
    parameters: manifest?.parametersSchema ?? null,
    output: manifest?.outputSchema ?? null,
    consumers: new Set(versions.flatMap(({ consumers }) => consumers.map(({ id }) => id))).size,
    max_batch_size: manifest?.maxBatchSize ?? null,
    status,
    // Beside one that is ready it is about its newest files, or another consumer: see version_details.
    error: status === 'ready' ? null : serving.error,
    retry_at: status === 'ready' ? null : isoTime(serving.retryAt),
  }
}

function versionResponse(model: ServedModel): z.infer<typeof modelVersionResponseSchema> {
  const { version, status, error, retryAt, loading, serving, aliases, manifest, consumers } = model
  return {
    version,
    status,
    error,
    retry_at: isoTime(retryAt),
    loading: loadingResponse(loading),
    serving,
    aliases,
    variant: manifest?.variant ?? null,
    graph_variants: manifest?.graphVariants ?? {},
    variant_reason: variantReason(manifest),
    provider: manifest?.provider ?? null,
    refused_providers: manifest?.refusedProviders ?? [],
    consumers: consumers.length,
  }
}

function isoTime(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}

/** More than one where consumers have different settings or different files. */
function variantsOf({ manifest, consumers }: ServedModel): string[] {
  const ofConsumers = consumers.flatMap((consumer) => consumer.manifest?.variant ?? [])
  return ofConsumers.length > 0 ? ofConsumers : manifest === null ? [] : [manifest.variant]
}

export function modelDetail(model: ModelVersions): z.infer<typeof modelDetailSchema> {
  return {
    ...modelResponse(model),
    consumer_stats: model.versions.flatMap(({ version, consumers }) =>
      consumers.map((consumer) => consumerStats(version, consumer)),
    ),
  }
}

/** The whole input: a manifest tells of the images by their number alone. */
function withImages(manifest: ModelManifest): Record<string, JsonValue> {
  const { min, max } = imagesOfManifest(manifest)
  const { properties, required } = z
    .object({ properties: z.record(z.string(), z.json()).catch({}), required: z.array(z.string()).catch([]) })
    .parse(manifest.inputSchema)
  const image = { type: 'string', contentEncoding: 'base64', description: 'base64 or a data:image/...;base64, URI' }
  const images = { type: 'array', items: image, minItems: min, maxItems: max }
  return {
    ...manifest.inputSchema,
    // One image may come as either.
    properties: { ...(min <= 1 && max >= 1 ? { image } : {}), ...(max > 1 ? { images } : {}), ...properties },
    required: [...(min === 0 ? [] : max === 1 ? ['image'] : min > 1 ? ['images'] : []), ...required],
  }
}

function consumerStats(version: string, consumer: ServingConsumer): z.infer<typeof consumerStatsSchema> {
  const { stats } = consumer
  const runs = Object.values(stats.batches).reduce((sum, count) => sum + count, 0)
  return {
    id: consumer.id,
    version,
    engines: consumer.engines,
    engines_up: consumer.enginesUp,
    variant: consumer.manifest?.variant ?? null,
    variant_reason: variantReason(consumer.manifest),
    provider: consumer.manifest?.provider ?? null,
    started_at: new Date(consumer.startedAt).toISOString(),
    heartbeat_at: new Date(consumer.heartbeatAt).toISOString(),
    batches: stats.batches,
    jobs: stats.jobs,
    reused: stats.reused ?? 0,
    mean_inference_ms: runs === 0 ? null : stats.inferenceMs / runs,
    engine_restarts: stats.engineRestarts,
    launches: launchStats(stats.launches),
    cost: stats.cost === null ? null : costStats(stats.cost),
    capacity: stats.capacity,
    devices: stats.devices ?? [],
    gpus: (consumer.gpus ?? []).map(gpuResponse),
    ...(stats.remote === undefined ? {} : { remote: remoteStats(stats.remote) }),
  }
}

function remoteStats({ window, inFlight, refused }: NonNullable<ModelStats['remote']>) {
  return { window, in_flight: inFlight, refused }
}

function launchStats({ reasons, predicted, predictedMs, actualMs }: ModelStats['launches']) {
  const mean = (sum: number): number | null => (predicted === 0 ? null : sum / predicted)
  return { reasons, mean_predicted_ms: mean(predictedMs), mean_actual_ms: mean(actualMs) }
}

function costStats({ fixedMs, perItemMs, p99OverMs, batchSize }: BatchCost) {
  return { fixed_ms: fixedMs, per_item_ms: perItemMs, p99_over_ms: p99OverMs, batch_size: batchSize }
}
