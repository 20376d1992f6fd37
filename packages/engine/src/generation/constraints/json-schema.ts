import { describeFields, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { either, literal, type Grammar } from './grammar.ts'
import {
  anyObject,
  anyValue,
  arrayGrammar,
  integerGrammar,
  mapGrammar,
  maxDigits,
  numberGrammar,
  objectGrammar,
  stringGrammar,
} from './json-grammar.ts'

/** Of a schema as JSON, in characters: schemas come from callers. */
const maxLength = 65_536
/** Integers that are listed one by one. */
const mostListed = 1000
const largest = 10 ** maxDigits - 1
const count = z.int().min(0).max(10_000)
const jsonSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
  // Written by some for every map, and true of all names.
  propertyNames: z.strictObject({ type: z.literal('string') }, 'no more than {"type": "string"}').optional(),
  items: z.unknown().optional(),
  minItems: count.optional(),
  maxItems: count.optional(),
  minLength: count.optional(),
  maxLength: count.optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  enum: z.array(z.json()).min(1).max(1000).optional(),
  const: z.json().optional(),
  anyOf: z.array(z.unknown()).min(1).max(100).optional(),
  allOf: z.array(z.unknown()).optional(),
  $ref: z.string().optional(),
})
type Schema = z.infer<typeof jsonSchema>

/** What says nothing of the values. */
const annotations = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
])

/** The keywords that are understood, by the kind of value that they are about. */
const keywords: Record<string, readonly string[]> = {
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
}

/**
 * The JSON that a schema takes, or a part of it: properties come in the order in which they are declared, and no others
 * beside them. Throws `invalid_input` that names the keyword which is not supported, with its path below `under`.
 */
export function schemaGrammar(schema: unknown, under: string): Grammar {
  if ((JSON.stringify(schema) ?? '').length > maxLength) refuse(under, `at most ${maxLength} characters of JSON`)
  const root = schema
  const known = new Map<string, Grammar>()

  function ofReference(reference: string, path: string): Grammar {
    const found = known.get(reference)
    if (found !== undefined) return found
    const target = resolve(root, reference)
    if (target === undefined) return refuse(`${path}.$ref`, 'a place within the schema, such as #/$defs/name')
    let made: Grammar | null = null
    // A definition may refer to itself: who asks before it is made gets it later.
    known.set(reference, { kind: 'later', get: () => made ?? refuse(path, 'a definition') })
    made = toGrammar(target, path, ofReference)
    return made
  }
  return toGrammar(root, under, ofReference)
}

type OfReference = (reference: string, path: string) => Grammar

function toGrammar(value: unknown, path: string, ofReference: OfReference): Grammar {
  if (value === true) return anyValue
  const parsed = jsonSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse([path, ...(issue?.path ?? [])].join('.'), `JSON Schema (${issue?.message ?? 'an object'})`)
  }
  const schema = parsed.data
  const inner = (one: unknown, below: string): Grammar => toGrammar(one, `${path}.${below}`, ofReference)
  const used = Object.keys(schema).filter((name) => !annotations.has(name))
  const alone = (name: string): void => {
    const other = used.find((one) => one !== name)
    if (other !== undefined) refuse(`${path}.${other}`, `nothing beside ${name}`)
  }
  if (schema.$ref !== undefined) {
    alone('$ref')
    return ofReference(schema.$ref, path)
  }
  if (schema.anyOf !== undefined) {
    alone('anyOf')
    return either(...schema.anyOf.map((one, at) => inner(one, `anyOf.${at}`)))
  }
  if (schema.allOf !== undefined) {
    alone('allOf')
    const [only, ...more] = schema.allOf
    return only === undefined || more.length > 0 ? refuse(`${path}.allOf`, 'one schema') : inner(only, 'allOf.0')
  }
  const values = schema.const === undefined ? schema.enum : [schema.const]
  if (values !== undefined) {
    const strange = used.find((name) => !['const', 'enum', 'type'].includes(name))
    if (strange !== undefined) refuse(`${path}.${strange}`, 'nothing beside enum or const')
    return either(...values.map((one) => literal(JSON.stringify(one))))
  }
  const types = typesOf(schema, path)
  const allowed = new Set(['type', ...types.flatMap((type) => keywords[type] ?? [])])
  const strange = used.find((name) => !allowed.has(name))
  if (strange !== undefined)
    refuse(`${path}.${strange}`, `a keyword that is supported here: ${[...allowed].join(', ')}`)
  if (types.length === 0) return anyValue
  return either(...types.map((type) => ofType(type, schema, path, inner)))
}

function typesOf({ type, properties, items }: Schema, path: string): string[] {
  const types = type === undefined ? [] : [type].flat()
  const unknown = types.find((one) => !Object.hasOwn(keywords, one))
  if (unknown !== undefined) refuse(`${path}.type`, Object.keys(keywords).join(', '))
  if (types.length > 0) return types
  return properties !== undefined ? ['object'] : items !== undefined ? ['array'] : []
}

function ofType(type: string, schema: Schema, path: string, inner: (one: unknown, below: string) => Grammar): Grammar {
  switch (type) {
    case 'object':
      return ofObject(schema, path, inner)
    case 'array': {
      const { minItems = 0, maxItems = Infinity, items = true } = schema
      if (minItems > maxItems) refuse(`${path}.minItems`, 'no more than maxItems')
      return arrayGrammar(inner(items, 'items'), minItems, maxItems)
    }
    case 'string': {
      const { minLength = 0, maxLength: most = Infinity } = schema
      if (minLength > most) refuse(`${path}.minLength`, 'no more than maxLength')
      return stringGrammar(minLength, most)
    }
    case 'number':
      return numberGrammar(boundsOf(schema, path).least !== 0)
    case 'integer':
      return ofInteger(schema, path)
    case 'boolean':
      return either(literal('true'), literal('false'))
    default:
      return literal('null')
  }
}

function ofObject(
  { properties = {}, required = [], additionalProperties }: Schema,
  path: string,
  inner: (one: unknown, below: string) => Grammar,
): Grammar {
  const names = Object.keys(properties)
  const missing = required.filter((name) => !names.includes(name))
  if (names.length === 0 && missing.length === 0) {
    if (additionalProperties === false) return objectGrammar([])
    const isAny = additionalProperties === undefined || additionalProperties === true
    return isAny ? anyObject : mapGrammar(inner(additionalProperties, 'additionalProperties'))
  }
  if (missing.length > 0) refuse(`${path}.required`, `names of properties; there is no ${missing.join(', ')}`)
  return objectGrammar(
    names.map((name) => ({
      key: literal(JSON.stringify(name)),
      value: inner(properties[name], `properties.${name}`),
      isRequired: required.includes(name),
    })),
  )
}

/** Integers of a short range are listed; of others only where they begin is kept. */
function ofInteger(schema: Schema, path: string): Grammar {
  const { minimum = -Infinity, maximum = Infinity } = schema
  const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema
  const from = Math.max(Math.ceil(minimum), Math.floor(exclusiveMinimum) + 1)
  const to = Math.min(Math.floor(maximum), Math.ceil(exclusiveMaximum) - 1)
  if (from > to) refuse(`${path}.minimum`, 'no more than maximum')
  if (to - from < mostListed) {
    return either(...Array.from({ length: to - from + 1 }, (_, at) => literal(String(from + at))))
  }
  return integerGrammar(boundsOf({ minimum: from, maximum: to }, path, [0, 1]).least)
}

/** Bounds that numbers of so many digits keep anyway are let pass. */
function boundsOf(
  { minimum = -Infinity, maximum = Infinity }: Pick<Schema, 'minimum' | 'maximum'>,
  path: string,
  leasts = [0],
): { least: number | null } {
  if (maximum < largest)
    refuse(`${path}.maximum`, `none, or at least ${largest}, or integers of a range below ${mostListed}`)
  if (minimum <= -largest) return { least: null }
  if (!leasts.includes(minimum)) refuse(`${path}.minimum`, `none, ${leasts.join(', ')}, or at most ${-largest}`)
  return { least: minimum }
}

/** What a reference such as `#/$defs/name` points to (RFC 6901); undefined: nothing. */
function resolve(root: unknown, reference: string): unknown {
  if (reference !== '#' && !reference.startsWith('#/')) return undefined
  let found = root
  for (const part of reference.split('/').slice(1)) {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    const within: unknown = Array.isArray(found) ? Object.fromEntries(found.entries()) : found
    if (typeof within !== 'object' || within === null || !Object.hasOwn(within, name)) return undefined
    found = Reflect.get(within, name)
  }
  return found
}

function refuse(field: string, expected: string): never {
  const fields = [{ field, expected }]
  throw new VisionQueueError('invalid_input', describeFields(fields), { fields })
}
