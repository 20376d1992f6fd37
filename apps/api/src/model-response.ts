import { modelManifestSchema } from '@vision-queue/jobs'
import type { ServingConsumer } from '@vision-queue/transport'
import { z } from 'zod'

import type { ModelVersions } from './model-choice.ts'
import type { JsonValue } from './submission/parsed-submission.ts'

const jsonSchemaSchema = z.record(z.string(), z.json()).describe('a JSON Schema (2020-12)')

/** A model as `GET /models` lists it; where versions differ, the schemas are the serving version's. */
export const modelResponseSchema = z.object({
  name: z.string(),
  task: z.string().describe("Hugging Face's name of the task"),
  version: z.string().describe('the version that runs jobs which name none'),
  versions: z.array(z.string()).describe('newest first; name@version pins a job to one'),
  variants: z.array(z.string()).describe('such as fp32 or int8, of all versions'),
  provider: z.string().describe('the execution provider, such as cpu'),
  labels: modelManifestSchema.shape.labels.describe('what the model can answer, where that is a fixed list'),
  input: jsonSchemaSchema,
  parameters: jsonSchemaSchema,
  output: jsonSchemaSchema,
  consumers: z.int().describe('live consumers, of all versions'),
  max_batch_size: z.int(),
  status: z.enum(['ready', 'no_consumers']).describe('no_consumers: jobs are accepted and wait'),
})
export type ModelResponse = z.infer<typeof modelResponseSchema>

/** What one consumer has done with one version of the model since it started. */
export const consumerStatsSchema = z.object({
  id: z.string(),
  version: z.string(),
  engines: z.int(),
  started_at: z.iso.datetime(),
  heartbeat_at: z.iso.datetime(),
  batches: z.record(z.string(), z.int()).describe('session runs by batch size'),
  jobs: z.record(z.string(), z.int()).describe('finished jobs by state'),
  mean_inference_ms: z.number().nullable().describe('per session run; null before the first'),
  engine_restarts: z.int(),
})

/** A model as `GET /models/{name}` shows it. */
export const modelDetailSchema = modelResponseSchema.extend({ consumer_stats: z.array(consumerStatsSchema) })

export function modelResponse({ name, serving, versions }: ModelVersions): ModelResponse {
  const { manifest } = serving
  const consumers = new Set(versions.flatMap((version) => version.consumers.map(({ id }) => id))).size
  return {
    name,
    task: manifest.task,
    version: manifest.version,
    versions: versions.map((version) => version.manifest.version),
    variants: [...new Set(versions.map((version) => version.manifest.variant))],
    provider: manifest.provider,
    labels: manifest.labels,
    input: withImage(manifest.inputSchema),
    parameters: manifest.parametersSchema,
    output: manifest.outputSchema,
    consumers,
    max_batch_size: manifest.maxBatchSize,
    status: consumers > 0 ? 'ready' : 'no_consumers',
  }
}

export function modelDetail(model: ModelVersions): z.infer<typeof modelDetailSchema> {
  return {
    ...modelResponse(model),
    consumer_stats: model.versions.flatMap(({ manifest, consumers }) =>
      consumers.map((consumer) => consumerStats(manifest.version, consumer)),
    ),
  }
}

/** The whole input: a manifest leaves out the image, which every task takes. */
function withImage(inputSchema: ModelVersions['serving']['manifest']['inputSchema']): Record<string, JsonValue> {
  const { properties, required } = z
    .object({ properties: z.record(z.string(), z.json()).catch({}), required: z.array(z.string()).catch([]) })
    .parse(inputSchema)
  const image = { type: 'string', contentEncoding: 'base64', description: 'base64 or a data:image/...;base64, URI' }
  return { ...inputSchema, properties: { image, ...properties }, required: ['image', ...required] }
}

function consumerStats(version: string, consumer: ServingConsumer): z.infer<typeof consumerStatsSchema> {
  const { stats } = consumer
  const runs = Object.values(stats.batches).reduce((sum, count) => sum + count, 0)
  return {
    id: consumer.id,
    version,
    engines: consumer.engines,
    started_at: new Date(consumer.startedAt).toISOString(),
    heartbeat_at: new Date(consumer.heartbeatAt).toISOString(),
    batches: stats.batches,
    jobs: stats.jobs,
    mean_inference_ms: runs === 0 ? null : stats.inferenceMs / runs,
    engine_restarts: stats.engineRestarts,
  }
}
