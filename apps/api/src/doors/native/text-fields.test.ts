import { expect, test } from 'vitest'

import { parseTextFields } from './text-fields.ts'

const limits = { maxInputBytes: 65_536 }
const inputs: [string, string[]][] = [
  ['question', [' what is it? ']],
  ['labels[]', ['a', '', 'b']],
  ['top', ['5']],
  ['__proto__', ['x']],
]

test.each([
  ['a model and inputs', [['model', ['m@1']], ...inputs]],
  ['a model with a line break at its end', [['model', ['m\n']], ...inputs.slice(0, 3)]],
  ['inputs alone', inputs.slice(0, 3)],
  ['a model that is empty', [['model', ['']], ...inputs]],
  ['a model of spaces', [['model', ['  ']], ...inputs]],
] satisfies [string, [string, string[]][]][])(
  '%s are read as they are beside a field that the schema has to look at',
  (_what, fields) => {
    const plain = parseTextFields(new Map(fields), limits)
    expect(plain).toEqual(parseTextFields(new Map([...fields, ['priority', ['normal']]]), limits))
    expect(plain.input).toMatchObject({ question: ' what is it? ', labels: ['a', 'b'], top: '5' })
  },
)

test.each([[['m', 'n']], [['a@b@c']], [['x'.repeat(100)]]])('a model that can be none is refused: %s', (model) => {
  expect(() => parseTextFields(new Map([['model', model]]), limits)).toThrow(/model/)
})
