import { describe, expect, it } from 'vitest'

import { applyLogitsRules, logSoftmax, type LogitsRules } from './logits-rules.ts'

const off: LogitsRules = {
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  minLength: 0,
  maxLength: 100,
  beginLength: 1,
  endIds: [3],
  forcedFirstId: null,
  forcedLastIds: [],
  suppressedIds: [],
  suppressedFirstIds: [],
}

function ruled(ids: number[], rules: Partial<LogitsRules>): number[] {
  const scores = Float64Array.of(1, -1, 2, 0.5, -4)
  applyLogitsRules(scores, ids, { ...off, ...rules })
  return [...scores]
}

const never = -Infinity

describe('rules for the next token', () => {
  it('leave the scores alone where they are off', () => {
    expect(ruled([0, 1, 0, 1], {})).toEqual([1, -1, 2, 0.5, -4])
  })

  it('make what occurred unlikelier, whatever its sign, once however often it occurred', () => {
    expect(ruled([0, 1, 1, 1], { repetitionPenalty: 2 })).toEqual([0.5, -2, 2, 0.5, -4])
  })

  it('take from what was generated, once or each time that it was; the prompt does not count', () => {
    expect(ruled([0, 1, 2, 2], { presencePenalty: 0.5 })).toEqual([1, -1.5, 1.5, 0.5, -4])
    expect(ruled([0, 1, 2, 2], { frequencyPenalty: 0.5 })).toEqual([1, -1.5, 1, 0.5, -4])
    expect(ruled([0, 1, 2, 2], { presencePenalty: -1, beginLength: 4 })).toEqual([1, -1, 2, 0.5, -4])
  })

  it('let no n-gram occur twice', () => {
    expect(ruled([0, 1, 2, 0, 1], { noRepeatNgramSize: 3 })).toEqual([1, -1, never, 0.5, -4])
    expect(ruled([0, 1, 2, 0, 1], { noRepeatNgramSize: 2 })).toEqual([1, -1, never, 0.5, -4])
    expect(ruled([0, 0, 4], { noRepeatNgramSize: 1 })).toEqual([never, -1, 2, 0.5, never])
    expect(ruled([0], { noRepeatNgramSize: 3 })).toEqual([1, -1, 2, 0.5, -4])
  })

  it('keep a text from ending too soon, and end it at its last place', () => {
    expect(ruled([0, 1], { minLength: 3 })[3]).toBe(never)
    expect(ruled([0, 1, 2], { minLength: 3 })[3]).toBe(0.5)
    expect(ruled([0, 1], { maxLength: 3, forcedLastIds: [3] })).toEqual([never, never, never, 0, never])
  })

  it('force and forbid at the first place only what is meant for it', () => {
    expect(ruled([0], { forcedFirstId: 2 })).toEqual([never, never, 0, never, never])
    expect(ruled([0, 2], { forcedFirstId: 2 })[0]).toBe(1)
    expect(ruled([0], { suppressedFirstIds: [2], suppressedIds: [4, 99] })).toEqual([1, -1, never, 0.5, never])
    expect(ruled([0, 1], { suppressedFirstIds: [2] })[2]).toBe(2)
  })
})

it('logarithms of probabilities add up, also of logits that overflow exp()', () => {
  const sum = [...logSoftmax(Float32Array.of(1000, 999, -1000))].reduce((total, log) => total + Math.exp(log), 0)
  expect(sum).toBeCloseTo(1, 9)
  expect(() => logSoftmax(Float32Array.of(1, NaN))).toThrow('not a number')
})
