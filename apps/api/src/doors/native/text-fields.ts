import { modelReferenceSchema, submissionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { parseRequest, refusal } from '../../expectation.ts'
import { envelopeNames, type Question } from '../../intake/submission.ts'
import { booleanOfText, numberOfText } from '../../intake/typed-text.ts'
import { assertTextsFit, parseJsonText } from './plain-json.ts'
import { type Envelope, questionOf } from './question.ts'

const textSubmissionSchema = submissionSchema.extend({
  input: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
})

/** How each field beside the inputs is read from text. What is none of its type stays text, for the schema to name. */
const envelopeReaders: Record<keyof Envelope, (text: string) => unknown> = {
  model: (text) => text,
  parameters: (text) => parseJsonText('parameters', text),
  metadata: (text) => parseJsonText('metadata', text),
  deadline_ms: (text) => numberOfText(text) ?? text,
  cache: (text) => booleanOfText(text) ?? text,
  priority: (text) => text,
}

/**
 * A question without its images from form fields or query parameters: the envelope's by their names,
 * `parameters` and `metadata` as JSON text, every other name an input. A repeated input is a list, and so is one whose
 * name ends as in `labels[]` or `labels[0]`. An empty text counts as not sent.
 */
export function parseTextFields(
  fields: ReadonlyMap<string, readonly string[]>,
  limits: { maxInputBytes: number },
): Question {
  assertTextsFit([...fields].flat(2), limits.maxInputBytes)
  const { envelope, input } = sorted(fields)
  const texts = Object.fromEntries(input)
  const forms = { inputForm: 'text', dropsUnknownInput: false, images: [] } as const
  const model = onlyModel(envelope, input)
  if (model !== undefined) return questionOf({ model }, { input: texts, ...forms }, limits)
  const read = Object.entries(envelopeReaders).map(([name, reader]) => {
    const text = onlyOne(name, envelope.get(name))
    return [name, text === undefined ? undefined : reader(text)]
  })
  const { input: parsed, ...valid } = parseRequest(textSubmissionSchema, { ...Object.fromEntries(read), input: texts })
  return questionOf(valid, { input: parsed, ...forms }, limits)
}

/**
 * The model where that is all that the envelope has, and it can be one, as in most requests: texts need no schema then,
 * which costs as much as all else here. Null: not even that was sent; undefined: the schema has to look.
 */
function onlyModel(
  envelope: ReadonlyMap<string, readonly string[]>,
  input: ReadonlyMap<string, unknown>,
): string | null | undefined {
  // A name that the schema passes over.
  if (input.has('__proto__')) return undefined
  if (envelope.size === 0) return null
  const models = envelope.get('model')
  if (envelope.size > 1 || models?.length !== 1) return undefined
  return modelReferenceSchema.safeParse(models[0]?.trim()).data
}

/** The envelope's fields, and the inputs by their names without brackets; of neither those that are empty. */
function sorted(fields: ReadonlyMap<string, readonly string[]>): {
  envelope: Map<string, string[]>
  input: Map<string, string | string[]>
} {
  const envelope = new Map<string, string[]>()
  const input = new Map<string, string | string[]>()
  for (const [name, sent] of fields) {
    const values = sent.filter((value) => value !== '')
    const [only] = values
    const bare = name.replace(/\[\d{0,4}\]$/, '')
    if (only === undefined) continue
    if (envelopeNames.includes(name)) envelope.set(name, values)
    else if (bare === name && values.length === 1 && !input.has(name)) input.set(name, only)
    else input.set(bare, [...[input.get(bare) ?? []].flat(), ...values])
  }
  return { envelope, input }
}

/** Without the line break that a shell or an editor put at its end. */
function onlyOne(field: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1) throw refusal('invalid_request', [{ field, expected: 'one value' }])
  const text = values[0]?.trim()
  return text === '' ? undefined : text
}
