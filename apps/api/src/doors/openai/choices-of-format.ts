import { z } from 'zod'

import type { ResponseFormat } from './request-schema.ts'

/** An answer that is one of some labels, and how the chosen one is written. */
export interface Choices {
  labels: string[]
  write: (label: string) => string
}

const labelsSchema = z.array(z.string()).min(1)
const enumSchema = z.looseObject({ enum: labelsSchema })
const objectSchema = z.looseObject({ type: z.literal('object'), properties: z.record(z.string(), enumSchema) })

/**
 * The labels that a response_format lets the answer be: those of `choice`, or of a JSON Schema that is an enum of
 * strings or an object with one property that is. Null where the format is about something else.
 */
export function choicesOfFormat(format: ResponseFormat | undefined): Choices | null {
  if (format?.type === 'choice') return { labels: format.choices, write: (label) => label }
  if (format?.type !== 'json_schema') return null
  const { schema } = format.json_schema
  const root = enumSchema.safeParse(schema)
  if (root.success) return { labels: root.data.enum, write: (label) => JSON.stringify(label) }
  const object = objectSchema.safeParse(schema)
  const [property, ...more] = Object.entries(object.data?.properties ?? {})
  if (property === undefined || more.length > 0) return null
  const [name, { enum: labels }] = property
  return { labels, write: (label) => JSON.stringify({ [name]: label }) }
}
