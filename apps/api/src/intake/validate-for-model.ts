import { fieldErrors, type ModelManifest } from '@vision-queue/protocol'
import { z } from 'zod'

import { expectation, refusal } from '../expectation.ts'
import { knownInput } from '../doors/native/query-names.ts'
import type { JsonValue, ReceivedSubmission } from '../doors/native/parsed-submission.ts'
import { typeTextInput } from './typed-text.ts'

interface ModelInput {
  input: Record<string, JsonValue>
  parameters: Record<string, JsonValue>
}

/**
 * Checks a job's input and parameters against what the model's consumers announced. Throws
 * `invalid_input` that names every field at fault. Returns what was sent, not what the schemas would
 * fill in: the defaults are those of the version that runs the job.
 */
export type ValidateForModel = (manifest: ModelManifest, submission: ReceivedSubmission) => ModelInput

/** The validator, with the schemas of each manifest compiled once. */
export function createModelValidator(): ValidateForModel {
  const compiled = new WeakMap<ModelManifest, { input: z.ZodType; parameters: z.ZodType }>()
  const schemasOf = (manifest: ModelManifest): { input: z.ZodType; parameters: z.ZodType } => {
    const known = compiled.get(manifest)
    if (known !== undefined) return known
    const schemas = { input: compile(manifest.inputSchema), parameters: compile(manifest.parametersSchema) }
    compiled.set(manifest, schemas)
    return schemas
  }

  return (manifest, submission) => {
    const schemas = schemasOf(manifest)
    const { parameters } = submission
    const sent = knownInput(manifest, submission)
    const input = submission.inputFrom === 'json' ? sent : typeTextInput(sent, manifest.inputSchema)
    const fields = [...misfits(schemas.input, input, 'input'), ...misfits(schemas.parameters, parameters, 'parameters')]
    if (fields.length > 0) throw refusal('invalid_input', fields)
    return { input, parameters }
  }
}

/** A registry of its own: the default one would hold the metadata of every manifest ever seen. */
function compile(schema: ModelManifest['inputSchema']): z.ZodType {
  return z.fromJSONSchema(schema, { registry: z.registry() })
}

function misfits(schema: z.ZodType, value: unknown, under: string): ReturnType<typeof fieldErrors> {
  const parsed = schema.safeParse(value, { error: expectation })
  return parsed.success ? [] : fieldErrors(parsed.error, under)
}
