import { submissionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { parseRequest, refusal } from '../../expectation.ts'
import { booleanOfText, numberOfText } from '../../intake/typed-text.ts'
import type { ParsedSubmission } from './parsed-submission.ts'
import { assertInputFits, assertTextsFit, parseJsonText } from './plain-json.ts'

const textSubmissionSchema = submissionSchema.extend({
  input: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
})

/** The names that don't belong to the model's input. */
export const envelopeNames = ['model', 'parameters', 'metadata', 'deadline_ms', 'cache', 'priority'] as const

/**
 * A submission without its image from form fields or query parameters: the envelope's by their names,
 * `parameters` and `metadata` as JSON text, every other name an input. A repeated input is a list, and so is one whose
 * name ends as in `labels[]` or `labels[0]`. An empty text counts as not sent.
 */
export function parseTextFields(
  fields: ReadonlyMap<string, readonly string[]>,
  { maxInputBytes }: { maxInputBytes: number },
): Omit<ParsedSubmission, 'image' | 'inputFrom'> {
  assertTextsFit([...fields].flat(2), maxInputBytes)
  const { envelope, input } = sorted(fields)
  const [model, parameters, metadata, deadline, cache, priority] = envelopeNames.map((name) =>
    onlyOne(name, envelope.get(name)),
  )
  const submission = parseRequest(textSubmissionSchema, {
    model,
    input: Object.fromEntries(input),
    parameters: parameters === undefined ? undefined : parseJsonText('parameters', parameters),
    metadata: metadata === undefined ? undefined : parseJsonText('metadata', metadata),
    priority,
    // What is none stays text, for the schema to name.
    cache: cache === undefined ? undefined : (booleanOfText(cache) ?? cache),
    deadline_ms: deadline === undefined ? undefined : (numberOfText(deadline) ?? deadline),
  })
  const parsed = {
    model: submission.model ?? null,
    input: submission.input,
    parameters: submission.parameters ?? {},
    metadata: submission.metadata ?? null,
    deadlineMs: submission.deadline_ms ?? null,
    cache: submission.cache ?? true,
    priority: submission.priority ?? 'normal',
  }
  assertInputFits(parsed, maxInputBytes)
  return parsed
}

/** The envelope's fields, and the inputs by their names without brackets; of neither those that are empty. */
function sorted(fields: ReadonlyMap<string, readonly string[]>): {
  envelope: Map<string, string[]>
  input: Map<string, string | string[]>
} {
  const envelope = new Map<string, string[]>()
  const input = new Map<string, string | string[]>()
  const ofEnvelope: readonly string[] = envelopeNames
  for (const [name, sent] of fields) {
    const values = sent.filter((value) => value !== '')
    const [only] = values
    const bare = name.replace(/\[\d{0,4}\]$/, '')
    if (only === undefined) continue
    if (ofEnvelope.includes(name)) envelope.set(name, values)
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
