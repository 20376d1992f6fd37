import { either, literal, oneOf, optional, range, repeat, sequence, type Grammar } from './grammar.ts'

/**
 * JSON as models write it: compact, with a space, or with a line break and an indent. No more than this much space, so
 * that no answer is made of space alone.
 */
const space = optional(either(literal(' '), sequence(literal('\n'), repeat(literal(' '), 0, 24))))

/** Of a number, before its point and behind it: a model that likes a digit would write it for ever. */
export const maxDigits = 15

const later = range([0x80, 0xbf])
/** One character of a string: UTF-8 that is well-formed (RFC 3629), or an escape that is no half of a surrogate pair. */
const character = either(
  range([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  sequence(range([0xc2, 0xdf]), later),
  sequence(range([0xe0, 0xe0]), range([0xa0, 0xbf]), later),
  sequence(range([0xe1, 0xec], [0xee, 0xef]), later, later),
  sequence(range([0xed, 0xed]), range([0x80, 0x9f]), later),
  sequence(range([0xf0, 0xf0]), range([0x90, 0xbf]), later, later),
  sequence(range([0xf1, 0xf3]), later, later, later),
  sequence(range([0xf4, 0xf4]), range([0x80, 0x8f]), later, later),
  sequence(literal('\\'), oneOf('"\\/bfnrt')),
  sequence(
    literal('\\u'),
    either(
      sequence(oneOf('0123456789abcefABCEF'), hex(), hex(), hex()),
      sequence(oneOf('dD'), oneOf('01234567'), hex(), hex()),
    ),
  ),
)

function hex(): Grammar {
  return oneOf('0123456789abcdefABCDEF')
}

/** A string of so many characters. */
export function stringGrammar(min = 0, max = Infinity): Grammar {
  return sequence(literal('"'), repeat(character, min, max), literal('"'))
}

const digit = oneOf('0123456789')

/** `least`: 0, 1 or none. */
export function integerGrammar(least: number | null = null): Grammar {
  const positive = sequence(oneOf('123456789'), repeat(digit, 0, maxDigits - 1))
  if (least === 1) return positive
  const whole = either(literal('0'), positive)
  return least === 0 ? whole : sequence(optional(literal('-')), whole)
}

export function numberGrammar(mayBeNegative = true): Grammar {
  return sequence(
    integerGrammar(mayBeNegative ? null : 0),
    optional(sequence(literal('.'), repeat(digit, 1, maxDigits))),
    optional(sequence(oneOf('eE'), optional(oneOf('+-')), repeat(digit, 1, 2))),
  )
}

/** Items between brackets. */
export function arrayGrammar(item: Grammar, min = 0, max = Infinity): Grammar {
  if (max === 0) return literal('[]')
  const more = repeat(sequence(literal(','), space, item), Math.max(0, min - 1), max - 1)
  const items = sequence(space, item, more, space)
  return sequence(literal('['), min === 0 ? either(space, items) : items, literal(']'))
}

export interface Member {
  key: Grammar
  value: Grammar
  isRequired: boolean
}

/** Members in their order; what is not required may be left out. */
export function objectGrammar(members: readonly Member[]): Grammar {
  // From the last one on: what may follow where nothing stands before it, and where something does.
  let [first, after]: Grammar[] = [space, space]
  for (const { key, value, isRequired } of members.toReversed()) {
    const member = sequence(key, literal(':'), space, value, after ?? space)
    const firstHere = sequence(space, member)
    const afterHere = sequence(literal(','), space, member)
    const [firstLeft, afterLeft] = [first ?? space, after ?? space]
    first = isRequired ? firstHere : either(firstHere, firstLeft)
    after = isRequired ? afterHere : either(afterHere, afterLeft)
  }
  return sequence(literal('{'), first ?? space, literal('}'))
}

/** An object of any keys, whose values are of one kind. */
export function mapGrammar(value: Grammar): Grammar {
  const member = sequence(stringGrammar(), literal(':'), space, value)
  const members = sequence(space, member, repeat(sequence(literal(','), space, member)), space)
  return sequence(literal('{'), either(space, members), literal('}'))
}

export const anyValue: Grammar = either(
  stringGrammar(),
  numberGrammar(),
  literal('true'),
  literal('false'),
  literal('null'),
  arrayGrammar({ kind: 'later', get: () => anyValue }),
  { kind: 'later', get: () => anyObject },
)

export const anyObject: Grammar = mapGrammar(anyValue)

/** Text that is JSON, after a space or line break that some models begin with. */
export function documentGrammar(value: Grammar): Grammar {
  return sequence(space, value)
}
