import type { ModelManifest } from '@vision-queue/protocol'
import { z } from 'zod'

import { refusal } from '../expectation.ts'
import { isMistyped } from '@vision-queue/process'
import { envelopeNames, type JsonValue, type Question } from './submission.ts'

const objectSchema = z.object({
  properties: z.record(z.string(), z.unknown()).catch({}),
  additionalProperties: z.unknown().optional(),
})

/**
 * A question's inputs, without those that mean nothing to the model where the door can't tell (what trackers, proxies
 * and caches put into a query breaks no request). What would have changed the answer is refused all the same: a name
 * of the model's outside the inputs, a parameter outside `parameters`, and a name that is mistyped, which
 * is one nearly like a name of ours that was not sent.
 */
export function knownInput(manifest: ModelManifest, question: Question): Record<string, JsonValue> {
  const names = namesOf(manifest.inputSchema)
  const parameters = namesOf(manifest.parametersSchema)
  const { input, dropsUnknownInput, strayNames } = question
  const misplaced = strayNames.filter((name) => names.known.has(name) || parameters.known.has(name))
  if (misplaced.length > 0) throw refusal('invalid_request', misplaced.map(asMisplaced))
  if (!dropsUnknownInput || names.open) return input
  const isKnown = ([name]: [string, JsonValue]): boolean => names.known.has(name)
  const fields = Object.entries(input)
    .filter((field) => !isKnown(field))
    .flatMap(([name]) => {
      if (parameters.known.has(name)) return [{ field: name, expected: `inside parameters, as {"${name}": ...}` }]
      const meant = [...names.known, ...envelopeNames].find(
        (known) => !wasSent(known, question) && isMistyped(name, known),
      )
      return meant === undefined ? [] : [{ field: name, expected: `no field of this name; there is ${meant}` }]
    })
  if (fields.length > 0) throw refusal('invalid_request', fields)
  return Object.fromEntries(Object.entries(input).filter(isKnown))
}

/** What is wrong with a part of the submission that stands in the query beside a body that is no image. */
export function asMisplaced(field: string): { field: string; expected: string } {
  return { field, expected: 'in the body; only beside the bytes of an image is it in the query' }
}

interface SchemaNames {
  known: ReadonlySet<string>
  open: boolean
}

/** By the schemas that the consumers announced, which stay the same for many questions. */
const readNames = new WeakMap<object, SchemaNames>()

function namesOf(schema: ModelManifest['inputSchema']): SchemaNames {
  const read = readNames.get(schema)
  if (read !== undefined) return read
  const { properties, additionalProperties } = objectSchema.parse(schema)
  const names = { known: new Set(Object.keys(properties)), open: additionalProperties !== false }
  readNames.set(schema, names)
  return names
}

function wasSent(name: string, { input, model, metadata, deadlineMs, parameters }: Question): boolean {
  const envelope: Record<string, boolean> = {
    model: model !== null,
    metadata: metadata !== null,
    deadline_ms: deadlineMs !== null,
    parameters: Object.keys(parameters).length > 0,
  }
  return envelope[name] ?? Object.hasOwn(input, name)
}
