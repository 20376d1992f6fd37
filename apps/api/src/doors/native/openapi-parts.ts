import { type ErrorCode, errorTable, imageTypes } from '@vision-queue/protocol'

/** One of the document's components. */
export const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` })

/** A JSON answer whose body is that component. */
export const answer = (description: string, schema: string, more: object = {}): object => ({
  description,
  content: { 'application/json': { schema: ref(schema) } },
  ...more,
})

/**
 * Problem documents by status, each naming the codes it may carry; any route may also answer 500, and what a
 * key that is missing, wrong, too narrow or too busy is answered with.
 */
export function problems(...codes: ErrorCode[]): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>()
  const ofAll = ['unauthorized', 'forbidden', 'rate_limited', 'internal_error'] as const
  for (const code of new Set<ErrorCode>([...codes, ...ofAll])) {
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
const rawImage = { schema: { type: 'string', contentMediaType: 'application/octet-stream' } }

/** The bodies that are an image and nothing else; which type it is, its bytes tell. */
export const rawImages = Object.fromEntries([...imageTypes, 'application/octet-stream'].map((type) => [type, rawImage]))
