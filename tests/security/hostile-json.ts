import * as fc from 'fast-check'

import { oddText } from './odd-text.ts'

/** Written into the JSON as it stands, in place of a text or a key that `JSON.stringify` would not write so. */
const verbatim = (json: string): string => `⟦${json}⟧`

const numbers = ['1e999', '-1e999', '1e-999', '-0', '9007199254740993', '1e308', '0.1e1', '00', '+1', '0x10', 'NaN']
const oddNumber = fc.oneof(
  fc.constantFrom(...numbers).map(verbatim),
  fc.constantFrom(-1, 0, 1, 0.5, 50, 51, 2 ** 31, 2 ** 53, Number.MAX_VALUE, Number.MIN_VALUE),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
const key = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '', '$ref', 'image', 'model'),
  oddText,
)
/** Any JSON, with odd texts and numbers in it. */
const anything: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    oddText,
    oddNumber,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map(Object.fromEntries),
  ),
})).value

const parameters = fc.record(
  {
    top_k: fc.oneof(oddNumber, anything),
    max_new_tokens: fc.oneof(oddNumber, fc.integer({ min: 1, max: 1024 })),
    num_beams: fc.oneof(oddNumber, fc.integer({ min: 1, max: 8 })),
    length_penalty: fc.oneof(oddNumber, fc.double({ min: -10, max: 10, noNaN: true })),
    repetition_penalty: fc.oneof(oddNumber, fc.double({ min: 0.1, max: 10, noNaN: true })),
    no_repeat_ngram_size: fc.oneof(oddNumber, fc.integer({ min: 0, max: 64 })),
    early_stopping: fc.oneof(fc.boolean(), anything),
    stop: fc.oneof(fc.array(oddText, { maxLength: 5 }), anything),
    hypothesis_template: fc.oneof(fc.constant('{}'.repeat(128)), oddText, anything),
    normalize: anything,
  },
  { requiredKeys: [] },
)

/** What is sent of a submission; `image` is put in afterwards, as base64 is long and says nothing. */
export interface JsonSubmission {
  text: string
}

/**
 * A body of `POST /jobs` that nearly fits the schema of the given model: each part may be there, be right, be
 * nonsense of the right type, or be anything. `input` are the model's right inputs.
 */
export function jsonSubmission(
  model: string,
  input: Readonly<Record<string, unknown>>,
  image: string,
): fc.Arbitrary<JsonSubmission> {
  const mostly = (right: unknown, wrong: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 3, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: wrong })
  const texts = fc.record(
    Object.fromEntries(
      Object.entries(input).map(([name, value]) => [
        name,
        mostly(
          value,
          Array.isArray(value) ? fc.oneof(fc.array(oddText, { maxLength: 66 }), anything) : fc.oneof(oddText, anything),
        ),
      ]),
    ),
    { requiredKeys: [] },
  )
  const parts = {
    model: fc.oneof(oddText, anything, fc.constantFrom(`${model}@1`, `${model}@..`, `${model}@`, `@${model}`)),
    input: fc.oneof(
      {
        weight: 6,
        arbitrary: fc
          .tuple(texts, mostly(image, fc.oneof(oddText, anything)))
          .map(([rest, file]) => Object.assign(rest, { image: file })),
      },
      { weight: 1, arbitrary: anything },
    ),
    parameters: fc.oneof({ weight: 4, arbitrary: parameters }, { weight: 1, arbitrary: anything }),
    metadata: fc.oneof(fc.dictionary(key, oddText, { maxKeys: 18 }), anything),
    deadline_ms: fc.oneof(fc.constantFrom(60_000, 1, 604_800_000), oddNumber, anything),
    cache: fc.oneof(fc.boolean(), anything),
    [verbatim('"__proto__"')]: anything,
  }
  const names: readonly string[] = Object.keys(parts)
  const wrong: fc.Arbitrary<readonly string[]> = fc.oneof(
    fc.constantFrom(['parameters'], ['input'], ['metadata']),
    fc.subarray([...names], { minLength: 1, maxLength: 2 }),
  )
  const body = fc.tuple(fc.record(parts), wrong).map(([values, chosen]) => {
    const hostile = Object.entries(values).filter(([name]) => chosen.includes(name))
    return Object.fromEntries([['model', model], ['input', { ...input, image }], ...hostile])
  })
  return fc.tuple(body, textChange).map(([value, change]) => ({ text: change(serialise(value)) }))
}

function serialise(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replaceAll(/"⟦((?:[^⟧"\\]|\\.)*)⟧"/g, (_, json: string) =>
    json.replaceAll('\\"', '"'),
  )
}

/** What can be wrong with the text itself; mostly nothing. */
const textChange: fc.Arbitrary<(text: string) => string> = fc.oneof(
  { weight: 12, arbitrary: fc.constant((text: string) => text) },
  {
    weight: 1,
    arbitrary: fc.double({ min: 0, max: 1, noNaN: true }).map((part) => (text: string) => {
      return text.slice(0, Math.floor(text.length * part))
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      (text: string) => `\ufeff${text}`,
      (text: string) => `${text}${text}`,
      (text: string) => `{"model":"a","model":"b",${text.slice(1)}`,
      (text: string) => text.replaceAll(',', ',,'),
      (text: string) => `${text},`,
      (text: string) => `[${text}]`,
      (text: string) => `/* c */${text}`,
      (text: string) => `${'['.repeat(5000)}${text}${']'.repeat(5000)}`,
      (text: string) => `{"a":${'{"a":'.repeat(2000)}1${'}'.repeat(2000)},${text.slice(1)}`,
      (text: string) => `{"x":[${'0,'.repeat(20_000)}0],${text.slice(1)}`,
    ),
  },
)
