import { type ErrorCode, errorTable, imageTypes } from '@vision-queue/protocol'
import { z } from 'zod'

/** One of the document's components. */
export const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` })

/** A JSON answer whose body is that component. */
export const answer = (description: string, schema: string, more: object = {}): object => ({
  description,
  content: { 'application/json': { schema: ref(schema) } },
  ...more,
})

/**
 * Problem documents by status, each naming the codes it may carry; among them what a key that is missing, wrong, too
 * narrow or too busy is answered with.
 */
export function problems(...codes: ErrorCode[]): Record<string, object> {
  return openProblems(...codes, 'unauthorized', 'forbidden', 'rate_limited')
}

/** The same for a route that needs no key. Any route may refuse headers that contradict each other, or fail. */
export function openProblems(...codes: ErrorCode[]): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set<ErrorCode>([...codes, 'invalid_request', 'internal_error'])) {
    const { status } = errorTable[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, together]) => [
      String(status),
      {
        description: together.map((code) => `\`${code}\`: ${errorTable[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )
}

/** A parameter; in a path it is required. */
export const parameter = (
  where: 'path' | 'query' | 'header',
  name: string,
  description: string,
  schema: object,
): object => ({
  in: where,
  name,
  description,
  schema,
  required: where === 'path',
})

/** X-Request-Id, which every route takes. */
export const requestId = parameter('header', 'X-Request-Id', 'Comes back in the answer and is in the logs', {
  type: 'string',
})

/** Of the routes that make a job. */
export const traceparent = parameter(
  'header',
  'traceparent',
  'W3C Trace Context, version 00: kept in the job, and its trace id is in every log line about it',
  { type: 'string' },
)

/** Of the routes that make a job. */
export const idempotencyKey = parameter(
  'header',
  'Idempotency-Key',
  'The same key with the same request gives the same job, as long as that is kept; 1 to 255 visible ASCII characters',
  { type: 'string', pattern: '^[!-~]{1,255}$' },
)

/** Of a job that was accepted; `where` says which. */
export const acceptedHeaders = (where: string): object => ({
  Location: { description: where, schema: { type: 'string' } },
  'Idempotent-Replayed': {
    description: 'true: this is the job of an earlier request with the same Idempotency-Key',
    schema: { type: 'string' },
  },
})

export const text = { type: 'string' }
/** A file in a form, or a body that is one. */
export const file = { type: 'string', contentMediaType: 'application/octet-stream' }
const rawImage = { schema: file }

/** What a route that reads a body refuses it for. */
export const bodyRefusals = [
  'invalid_request',
  'request_timeout',
  'payload_too_large',
  'unsupported_media_type',
  'overloaded',
] as const satisfies readonly ErrorCode[]

/** What an image is refused for once it is there. */
export const imageRefusals = [
  'payload_too_large',
  'unsupported_media_type',
  'image_too_large',
  'image_undecodable',
] as const satisfies readonly ErrorCode[]

const typeSchema = z.looseObject({ type: z.union([z.string(), z.array(z.string())]).optional() })
const fieldSchema = typeSchema.extend({
  anyOf: z.array(typeSchema).optional(),
  description: z.string().default(''),
})

type TextField = Record<string, unknown> & { description: string }

/**
 * The fields of a schema as they are in a form or a query: an object is its JSON, and null is what isn't sent.
 */
export function textFields(schema: z.ZodObject): Record<string, TextField> {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, textField(field)]))
}

function textField(schema: unknown): TextField {
  const { anyOf, description, ...only } = fieldSchema.parse(schema)
  const field = anyOf?.find(({ type }) => type !== 'null') ?? only
  const type = [field.type ?? []].flat().find((named) => named !== 'null')
  return type === 'object' ? { ...json, description } : { ...field, type, description }
}

const json = { type: 'string', contentMediaType: 'application/json' }

/** The bodies that are an image and nothing else; which type it is, its bytes tell. */
export const rawImages = Object.fromEntries([...imageTypes, 'application/octet-stream'].map((type) => [type, rawImage]))
