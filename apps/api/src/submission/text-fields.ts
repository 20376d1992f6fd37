import { submissionSchema } from '@vision-queue/jobs'
import { z } from 'zod'

import { parseRequest, refusal } from '../expectation.ts'
import type { ParsedSubmission } from './parsed-submission.ts'
import { assertInputFits, assertTextsFit, parseJsonText } from './plain-json.ts'

const textSubmissionSchema = submissionSchema.extend({
  input: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
})

/** The names that don't belong to the model's input. */
const envelope = ['model', 'parameters', 'metadata', 'deadline_ms', 'cache', 'priority'] as const

/**
 * A submission without its image from form fields or query parameters: the envelope's by their names,
 * `parameters` and `metadata` as JSON text, every other name an input. A repeated input is a list.
 */
export function parseTextFields(
  fields: ReadonlyMap<string, readonly string[]>,
  { maxInputBytes }: { maxInputBytes: number },
): Omit<ParsedSubmission, 'image'> {
  assertTextsFit([...fields].flat(2), maxInputBytes)
  const [model, parameters, metadata, deadline, cache, priority] = envelope.map((name) =>
    onlyOne(name, fields.get(name)),
  )
  const names: readonly string[] = envelope
  const input = [...fields].flatMap(([name, values]) =>
    names.includes(name) ? [] : [[name, values.length === 1 ? values[0] : [...values]]],
  )
  const submission = parseRequest(textSubmissionSchema, {
    model,
    input: Object.fromEntries(input),
    parameters: parameters === undefined ? undefined : parseJsonText('parameters', parameters),
    metadata: metadata === undefined ? undefined : parseJsonText('metadata', metadata),
    priority,
    // What is no number stays text, for the schema to name.
    cache: cache === 'true' || cache === 'false' ? cache === 'true' : cache,
    deadline_ms: deadline !== undefined && /^\d+$/.test(deadline) ? Number(deadline) : deadline,
  })
  const parsed = {
    model: submission.model ?? null,
    input: submission.input,
    inputIsText: true,
    parameters: submission.parameters ?? {},
    metadata: submission.metadata ?? null,
    deadlineMs: submission.deadline_ms ?? null,
    cache: submission.cache ?? true,
    priority: submission.priority ?? 'normal',
  }
  assertInputFits(parsed, maxInputBytes)
  return parsed
}

function onlyOne(field: string, values: readonly string[] = []): string | undefined {
  if (values.length > 1) throw refusal('invalid_request', [{ field, expected: 'one value' }])
  return values[0]
}
