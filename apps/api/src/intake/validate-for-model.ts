import { type FieldError, fieldErrors, imagesOfManifest, type ModelManifest } from '@vision-queue/protocol'
import { z } from 'zod'

import { expectation, refusal } from '../expectation.ts'
import { knownInput } from './known-input.ts'
import type { JsonValue, Question } from './submission.ts'
import { typeTextInput } from './typed-text.ts'

interface ModelInput {
  input: Record<string, JsonValue>
  parameters: Record<string, JsonValue>
}

/**
 * Checks a question's input, parameters and number of images against what the model's consumers announced. Throws
 * `invalid_input` that names every field at fault. Returns what was sent, not what the schemas would
 * fill in: the defaults are those of the version that runs the job.
 */
export type ValidateForModel = (manifest: ModelManifest, question: Question) => ModelInput

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

  return (manifest, question) => {
    const schemas = schemasOf(manifest)
    const { parameters, inputForm } = question
    const sent = knownInput(manifest, question)
    const input = inputForm === 'json' ? sent : typeTextInput(sent, manifest.inputSchema)
    const fields = [
      ...imageMisfits(manifest, question.images.length),
      ...misfits(schemas.input, input, 'input'),
      ...misfits(schemas.parameters, parameters, 'parameters'),
    ]
    if (fields.length > 0) throw refusal('invalid_input', fields)
    return { input, parameters }
  }
}

function imageMisfits(manifest: ModelManifest, found: number): FieldError[] {
  const { min, max } = imagesOfManifest(manifest)
  if (found >= min && found <= max) return []
  const number = min === max ? (max === 0 ? 'no' : `${max}`) : min === 0 ? `at most ${max}` : `${min} to ${max}`
  const there = found === 0 ? 'missing, or empty' : found === 1 ? 'there is 1' : `there are ${found}`
  return [
    {
      field: max > 1 ? 'input.images' : 'input.image',
      expected: `${number} ${max > 1 ? 'images' : 'image'} (${there})`,
    },
  ]
}

/** A registry of its own: the default one would hold the metadata of every manifest ever seen. */
function compile(schema: ModelManifest['inputSchema']): z.ZodType {
  return z.fromJSONSchema(schema, { registry: z.registry() })
}

function misfits(schema: z.ZodType, value: unknown, under: string): FieldError[] {
  const parsed = schema.safeParse(value, { error: expectation })
  return parsed.success ? [] : fieldErrors(parsed.error, under)
}
