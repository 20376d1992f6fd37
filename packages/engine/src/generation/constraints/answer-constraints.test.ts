import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { sampleToken } from '../sampling.ts'
import { openAnswerConstraints, type AnswerFormat } from './answer-constraints.ts'

/** Every byte, and pieces that cross the borders of JSON's parts. */
const pieces = [
  '"',
  '":',
  '": "',
  '", "',
  '"}',
  '"}]',
  '[{"',
  '{"',
  'shape',
  'sha',
  'circle',
  ' circle',
  '": 1',
  '12',
  '1',
  'tr',
  'true',
  'null',
  '}',
  ']',
  '],',
  ', ',
  '\\"',
  'é',
  'a"b',
  'red',
  'redd',
  'dish',
]
const tokens: (Uint8Array | null)[] = [
  null,
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...pieces.map((piece) => Buffer.from(piece)),
]
const endId = 0
const constraints = await openAnswerConstraints({ tokens, endIds: [endId] })
const under = 'parameters.response_format'

/** Ends are likely, that free texts don't go on for ever. */
const likely = Float32Array.from(tokens, (bytes) =>
  bytes === null || /["}\]]/.test(Buffer.from(bytes).toString()) ? 3 : 0,
)

/** What chance writes under a constraint; null where it goes on for more than `most` tokens. */
function write(format: AnswerFormat, seed: number, most = 200): string | null {
  const constraint = constraints.compile(format, under)()
  const written: Uint8Array[] = []
  for (let step = 0; step < most; step += 1) {
    const scores = likely.slice()
    constraint.mask(scores)
    const token = sampleToken(scores, { temperature: 1, topP: 1, topK: 0, minP: 0, seed, logprobs: null }, step)
    if (token === endId) return Buffer.concat(written).toString()
    written.push(tokens[token] ?? new Uint8Array())
    constraint.accept(token)
    if (constraint.complete) return Buffer.concat(written).toString()
  }
  return null
}

const person = z.strictObject({
  name: z.string().max(12),
  age: z.int().min(0).max(150),
  score: z.number().optional(),
  shape: z.enum(['circle', 'square', 'a "quoted" é\n']),
  tags: z.array(z.string().min(1)).min(1).max(3),
  place: z.union([z.strictObject({ x: z.int(), y: z.int() }), z.null()]),
  isBig: z.boolean().optional(),
})
const tree: z.ZodType = z.strictObject({
  label: z.literal('node'),
  get children() {
    return z.array(tree).max(1)
  },
})

describe('an answer by a schema', () => {
  it.each([
    ['an object', person],
    ['a tree', tree],
    ['a list', z.array(z.strictObject({ shape: z.string(), color: z.enum(['red', 'blue']) })).max(3)],
    ['a map', z.record(z.string(), z.int())],
    ['any value', z.json()],
    ['a number', z.number()],
    ['whole numbers', z.array(z.union([z.int().positive(), z.int().min(-3).max(12), z.int()])).max(2)],
    ['a text', z.string().min(2).max(5)],
  ])('is JSON that the schema takes, whatever the model would say: %s', { timeout: 60_000 }, (_, schema) => {
    const format: AnswerFormat = { type: 'json_schema', schema: z.toJSONSchema(schema) }
    const written = Array.from({ length: 40 }, (__, seed) => write(format, seed)).filter((text) => text !== null)
    expect(written.length).toBeGreaterThan(5)
    for (const text of written) expect(schema.safeParse(JSON.parse(text))).toMatchObject({ success: true })
    expect(new Set(written).size).toBeGreaterThan(3)
  })

  it('of any object is an object', () => {
    const written = Array.from({ length: 40 }, (_, seed) => write({ type: 'json_object' }, seed)).filter(
      (text) => text !== null,
    )
    expect(written.length).toBeGreaterThan(5)
    for (const text of written) expect(JSON.parse(text)).toBeTypeOf('object')
  })

  it('may be any text that the schema takes, each written as models write: compact, spaced or in lines', () => {
    const format: AnswerFormat = { type: 'json_schema', schema: z.toJSONSchema(person) }
    const value = {
      name: 'Zoë 🙂 "x"',
      age: 7,
      shape: 'circle',
      tags: ['a', 'b'],
      place: { x: -1, y: 20 },
      isBig: true,
    }
    const inLines = JSON.stringify(value, null, 2)
    const spaced = inLines.replaceAll(/\n */g, ' ')
    for (const text of [JSON.stringify(value), inLines, spaced]) {
      const constraint = constraints.compile(format, under)()
      for (const byte of Buffer.from(text)) {
        expect(constraint.complete).toBe(false)
        const scores = new Float32Array(tokens.length)
        constraint.mask(scores)
        expect(scores[byte + 1]).toBe(0)
        expect(scores[endId]).toBe(-Infinity)
        constraint.accept(byte + 1)
      }
      expect(constraint.complete).toBe(true)
    }
  })

  it('is refused where the schema is larger than a caller may send', () => {
    const schema = { type: 'string', description: 'a'.repeat(70_000) }
    expect(() => constraints.compile({ type: 'json_schema', schema }, under)).toThrow('65536 characters')
  })

  it.each([
    [{ type: 'string', pattern: '^a' }, 'pattern'],
    [{ type: 'object', properties: { a: { type: 'string', format: 'date' } } }, 'properties.a.format'],
    [{ type: 'array', items: { type: 'integer', multipleOf: 3 } }, 'items.multipleOf'],
    [{ type: 'array', uniqueItems: true }, 'uniqueItems'],
    [{ type: 'number', maximum: 1 }, 'maximum'],
    [{ type: 'text' }, 'type'],
    [{ oneOf: [{ type: 'string' }] }, 'oneOf'],
    [{ anyOf: [{ type: 'string', not: {} }] }, 'anyOf.0.not'],
    [{ $ref: '#/$defs/none' }, '$ref'],
    [{ type: 'object', properties: {}, required: ['a'] }, 'required'],
    ['object', 'schema'],
  ])('is refused before anything runs, by the name of the keyword: %j', (schema, field) => {
    const path = field === 'schema' ? '' : `.${field}`
    const compile = (): unknown => constraints.compile({ type: 'json_schema', schema }, under)
    expect(compile).toThrow(
      expect.objectContaining({
        code: 'invalid_input',
        fields: [expect.objectContaining({ field: `${under}.json_schema.schema${path}` })],
      }),
    )
  })
})

describe('a choice', () => {
  it('is one of the texts, also where one begins another', () => {
    const choices = ['red', 'reddish', 'circle', 'é']
    const written = Array.from({ length: 80 }, (_, seed) => write({ type: 'choice', choices }, seed))
    expect(new Set(written)).toEqual(new Set(choices))
  })

  it('leads into no dead end where the vocabulary has gaps, and is refused where it can not be written', async () => {
    const words = [null, ...['a', 'ab', 'c', 'bd'].map((word) => Buffer.from(word))]
    const { compile } = await openAnswerConstraints({ tokens: words, endIds: [0] })
    const constraint = compile({ type: 'choice', choices: ['abd', 'abc'] }, under)()
    const scores = new Float32Array(words.length)
    constraint.mask(scores)
    expect([...scores]).toEqual([-Infinity, 0, 0, -Infinity, -Infinity])
    constraint.accept(2)
    scores.fill(0)
    constraint.mask(scores)
    // `abd` can't be written any more.
    expect([...scores]).toEqual([-Infinity, -Infinity, -Infinity, 0, -Infinity])
    expect(() => compile({ type: 'choice', choices: ['zebra'] }, under)).toThrow("the model's vocabulary can write")
  })
})

describe('a vocabulary of 150,000 tokens', () => {
  it('is laid out in pieces, so that the event loop turns meanwhile, and holds what a small one does', async () => {
    const word = (id: number): Buffer => Buffer.from(id.toString(36))
    const many = [...tokens, ...Array.from({ length: 150_000 }, (_, id) => word(id))]
    let turns = 0
    let isDone = false
    const turn = (): void => {
      turns += 1
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    const { compile } = await openAnswerConstraints({ tokens: many, endIds: [endId] })
    isDone = true
    expect(turns).toBeGreaterThan(5)
    const constraint = compile({ type: 'choice', choices: [word(140_000).toString()] }, under)()
    const scores = new Float32Array(many.length)
    constraint.mask(scores)
    const written = many.flatMap((bytes, id) => (scores[id] === 0 ? [Buffer.from(bytes ?? []).toString()] : []))
    const text = word(140_000).toString()
    // All that begins the text: single bytes, and numbers of base 36.
    expect(new Set(written)).toEqual(new Set(Array.from(text, (_, at) => text.slice(0, at + 1))))
  })
})
