import { z } from 'zod'

import type { JsonValue } from './submission.ts'

const alternativeSchema = z.object({
  type: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .catch(undefined),
})
const propertySchema = alternativeSchema.extend({
  anyOf: z.array(alternativeSchema).catch([]).optional(),
  items: alternativeSchema.optional().catch(undefined),
})
const typesSchema = z.object({ properties: z.record(z.string(), propertySchema).catch({}) })

type Properties = z.infer<typeof typesSchema>['properties']

/** By the schemas that the consumers announced, which stay the same for many questions. */
const readProperties = new WeakMap<object, Properties>()

function propertiesOf(inputSchema: Readonly<Record<string, JsonValue>>): Properties {
  const read = readProperties.get(inputSchema) ?? typesSchema.parse(inputSchema).properties
  readProperties.set(inputSchema, read)
  return read
}

/**
 * Form fields and query parameters with the types that a model's input schema gives them: numbers,
 * true and false, lists (a repeated field, JSON, or items between commas). A text that isn't what the schema
 * wants stays a text, for validation to name.
 */
export function typeTextInput(
  input: Readonly<Record<string, JsonValue>>,
  inputSchema: Readonly<Record<string, JsonValue>>,
): Record<string, JsonValue> {
  const properties = propertiesOf(inputSchema)
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined
      return [name, typed(value, typeOf(property), typeOf(property?.items))]
    }),
  )
}

/** The first type there is; null, which no text is, counts for none. */
function typeOf(schema: z.infer<typeof propertySchema> | undefined): string | undefined {
  const types = [schema, ...(schema?.anyOf ?? [])].flatMap((alternative) => alternative?.type ?? [])
  return types.find((type) => type !== 'null')
}

function typed(value: JsonValue, type: string | undefined, itemType: string | undefined): JsonValue {
  if (Array.isArray(value)) return value.map((item) => typed(item, itemType, undefined))
  if (typeof value !== 'string') return value
  switch (type) {
    case 'integer':
    case 'number':
      return numberOfText(value) ?? value
    case 'boolean':
      return booleanOfText(value) ?? value
    case 'array': {
      const list = parsed(value)
      if (Array.isArray(list)) return list
      const items = value.split(',').map((item) => item.trim())
      return items.filter((item) => item !== '').map((item) => typed(item, itemType, undefined))
    }
    case 'object':
      return parsed(value) ?? value
    case undefined:
    default:
      return value
  }
}

/** The number that a text is in decimal, such as `5`, `-0.5` or `1e3`; null where it is none. */
export function numberOfText(text: string): number | null {
  // No number is longer, and the pattern is to be tried on none that is.
  if (text.length > 64) return null
  const number = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN
  return Number.isFinite(number) ? number : null
}

/** true or false as pages, shells and languages write them, in whatever case; null where a text is neither. */
export function booleanOfText(text: string): boolean | null {
  const word = text.trim().toLowerCase()
  if (['true', '1', 'on', 'yes'].includes(word)) return true
  return ['false', '0', 'off', 'no'].includes(word) ? false : null
}

function parsed(text: string): JsonValue | undefined {
  try {
    return z.json().parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
