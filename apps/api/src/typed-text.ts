import { z } from 'zod'

import type { JsonValue } from './submission/parsed-submission.ts'

const typesSchema = z.object({
  properties: z.record(z.string(), z.object({ type: z.string().optional().catch(undefined) })).catch({}),
})

/**
 * Form fields and query parameters with the types that a model's input schema gives them: numbers,
 * true and false, lists (a repeated field, JSON, or one item). A text that isn't what the schema
 * wants stays a text, for validation to name.
 */
export function typeTextInput(
  input: Readonly<Record<string, JsonValue>>,
  inputSchema: Readonly<Record<string, JsonValue>>,
): Record<string, JsonValue> {
  const { properties } = typesSchema.parse(inputSchema)
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => {
      const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined
      return [name, typeof value === 'string' ? typed(value, type) : value]
    }),
  )
}

function typed(text: string, type: string | undefined): JsonValue {
  switch (type) {
    case 'integer':
    case 'number': {
      const number = text.trim() === '' ? Number.NaN : Number(text)
      return Number.isFinite(number) ? number : text
    }
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'array': {
      const value = parsed(text)
      return Array.isArray(value) ? value : [text]
    }
    case 'object':
      return parsed(text) ?? text
    case undefined:
    default:
      return text
  }
}

function parsed(text: string): JsonValue | undefined {
  try {
    return z.json().parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
