import { modelReferenceSchema } from '@vision-queue/jobs'

import { fieldsOf } from './multipart.ts'
import { parseJsonBody } from './plain-json.ts'
import type { TypedBody } from './typed-body.ts'

/**
 * The model that a submission names, whatever else is wrong with it; null if the body can't be parsed at all, or
 * names none or more than one. For submissions that were refused: a model that isn't there goes before other faults.
 */
export function namedModel({ kind, bytes, query }: TypedBody, contentType: string): string | null {
  try {
    const parsed = modelReferenceSchema.safeParse(modelIn(kind, bytes, query, contentType))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function modelIn(kind: TypedBody['kind'], bytes: Buffer, query: TypedBody['query'], contentType: string): unknown {
  switch (kind) {
    case 'raw':
      return onlyOne(query['model'])
    case 'multipart':
      return onlyOne(fieldsOf(bytes, contentType).flatMap(({ name, value }) => (name === 'model' ? [value] : [])))
    case 'json': {
      const body = parseJsonBody(bytes)
      return typeof body === 'object' && body !== null && 'model' in body ? body.model : null
    }
    default:
      return kind satisfies never
  }
}

function onlyOne(values: readonly unknown[] = []): unknown {
  const [value = null, ...more] = values
  return more.length === 0 ? value : null
}
