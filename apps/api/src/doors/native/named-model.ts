import { modelReferenceSchema } from '@vision-queue/protocol'

import { parseMultipartForm } from './multipart.ts'
import { parseJsonBody } from './plain-json.ts'
import type { SubmittedBody } from './read-submission.ts'
import { parseUrlencoded } from './urlencoded.ts'

/**
 * The model that a submission names, whatever else is wrong with it; null if the body can't be parsed at all, or
 * names none or more than one. For submissions that were refused: a model that isn't there goes before other faults.
 */
export function namedModel(body: SubmittedBody): string | null {
  try {
    const parsed = modelReferenceSchema.safeParse(modelIn(body))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function modelIn({ kind, bytes, contentType, query }: SubmittedBody): unknown {
  switch (kind) {
    case 'raw':
      return onlyOne(query['model'])
    case 'multipart':
      return onlyOne(parseMultipartForm(bytes, contentType, isModel).texts.get('model'))
    case 'urlencoded':
      return onlyOne(parseUrlencoded(bytes, isModel).texts.get('model'))
    case 'json': {
      const parsed = parseJsonBody(bytes)
      return typeof parsed === 'object' && parsed !== null && 'model' in parsed ? parsed.model : null
    }
    default:
      return kind satisfies never
  }
}

/** Whatever else is in a form may be what is wrong with it. */
function isModel(name: string): boolean {
  return name === 'model'
}

function onlyOne(values: readonly unknown[] = []): unknown {
  const [value = null, ...more] = values
  return more.length === 0 ? value : null
}
