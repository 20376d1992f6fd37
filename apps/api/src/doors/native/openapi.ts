import {
  beginUploadSchema,
  begunUploadSchema,
  imageResponseSchema,
  jobResponseSchema,
  problemSchema,
  submissionSchema,
  uploadSchema,
} from '@vision-queue/protocol'
import { z } from 'zod'

import type { ModelVersions } from '../../intake/model-choice.ts'
import { modelDetailSchema, modelResponse, type ModelResponse, modelResponseSchema } from './model-response.ts'
import { acceptedOrderSchema, orderBodySchema } from './order-model.ts'
import { openApiPaths } from './openapi-paths.ts'
import { openAiComponents } from '../openai/openapi.ts'
import { jobListSchema } from './list-jobs.ts'
import { purgedSchema } from './purge-model.ts'
import { healthSchema, readinessSchema } from '../../observe/health.ts'
import type { JsonValue } from '../../intake/submission.ts'

const components = {
  Submission: submissionSchema,
  Job: jobResponseSchema,
  JobList: jobListSchema,
  Purged: purgedSchema,
  Upload: uploadSchema,
  Image: imageResponseSchema,
  BeginUpload: beginUploadSchema,
  BegunUpload: begunUploadSchema,
  Model: modelResponseSchema,
  ModelDetail: modelDetailSchema,
  ModelList: z.object({ models: z.array(modelResponseSchema) }),
  ModelOrder: orderBodySchema,
  AcceptedModelOrder: acceptedOrderSchema,
  Health: healthSchema,
  Readiness: readinessSchema,
  Problem: problemSchema,
  ...openAiComponents,
}

/** A gray PNG of one pixel, so that the examples can be sent as they are. */
const exampleImage = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=='

/**
 * The OpenAPI 3.1 document. Its schemas are the ones that validate; each known model adds the
 * announced schemas of its input, parameters and output, and an example submission.
 */
export function createOpenApi(models: readonly ModelVersions[], publicUrl = ''): Record<string, unknown> {
  // Of a model that was never ready nothing can be told.
  const known = models.filter(({ serving }) => serving.manifest !== null).map(modelResponse)
  const schemas = Object.entries(components).map(([name, schema]) => [name, schemaOf(schema)])
  return {
    openapi: '3.1.0',
    info: {
      title: 'vision-queue',
      version: '1',
      description: 'Vision and vision-language models behind a queue: submit an image, get a job, get its result.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Without PUBLIC_URL relative to this document's own address, which may be below a proxy's path.
    servers: [{ url: publicUrl === '' ? '.' : publicUrl }],
    paths: openApiPaths(Object.fromEntries(known.map((model) => [model.name, { value: exampleOf(model) }]))),
    // Without a key: where the service lets everybody in.
    security: [{ ApiKey: [] }, {}],
    components: {
      schemas: { ...Object.fromEntries(schemas), ...Object.fromEntries(known.flatMap(modelSchemas)) },
      securitySchemes: {
        ApiKey: { type: 'http', scheme: 'bearer', description: 'vq_..., with the scope submit, read or admin' },
      },
    },
  }
}

function schemaOf(schema: z.ZodType): JsonValue {
  return plain(z.json().parse(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })))
}

/**
 * zod's output as a reader wants it: any JSON value as `{}` rather than by reference to itself, whole
 * numbers without JavaScript's bounds, and dates by their format alone.
 */
function plain(schema: JsonValue): JsonValue {
  if (Array.isArray(schema)) return schema.map(plain)
  if (typeof schema !== 'object' || schema === null) return schema
  if ('$ref' in schema) return {}
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) => {
      const unneeded =
        key === '$schema' ||
        key === '$defs' ||
        (key === 'pattern' && schema['format'] === 'date-time') ||
        value === Number.MAX_SAFE_INTEGER ||
        value === Number.MIN_SAFE_INTEGER
      return unneeded ? [] : [[key, plain(value)]]
    }),
  )
}

/** Left out where a schema refers to parts of itself: inside this document the addresses would be wrong. */
function modelSchemas(model: ModelResponse): [string, JsonValue][] {
  const schemas = { input: model.input, parameters: model.parameters, output: model.output }
  return Object.entries(schemas)
    .filter(([, schema]) => schema !== null && !JSON.stringify(schema).includes('"$ref"'))
    .map(([part, schema]) => [`${model.name}.${part}`, plain(schema)])
}

function exampleOf({ name, input, images }: ModelResponse): JsonValue {
  const { properties, required } = z
    .object({
      properties: z.record(z.string(), z.object({ type: z.string().catch('string') })),
      required: z.array(z.string()),
    })
    .parse(input)
  const fewest = images?.min ?? 1
  const several = Array.from({ length: fewest }, () => exampleImage)
  const values = required
    .filter((field) => field !== 'image' && field !== 'images')
    .map((field) => [
      field,
      properties[field]?.type === 'array' ? ['one', 'another'] : `the ${field.replaceAll('_', ' ')}`,
    ])
  const given = fewest === 0 ? {} : fewest === 1 ? { image: exampleImage } : { images: several }
  return { model: name, input: { ...given, ...Object.fromEntries(values) } }
}
