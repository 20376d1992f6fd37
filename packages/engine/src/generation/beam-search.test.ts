import { describe, expect, it } from 'vitest'

import { createBeamSearch, type BeamOptions } from './beam-search.ts'
import { createGreedySearch } from './greedy-search.ts'
import type { LogitsRules } from './logits-rules.ts'
import type { Search } from './search.ts'

const end = 0
const rules: LogitsRules = {
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  minLength: 0,
  maxLength: 6,
  beginLength: 1,
  endIds: [end],
  forcedFirstId: null,
  forcedLastIds: [],
  suppressedIds: [],
  suppressedFirstIds: [],
}

/** A decoder that knows sentences with their probabilities, by what was said before. */
const language: Record<string, Record<number, number>> = {
  '': { 1: 0.55, 2: 0.45 },
  '1': { 3: 0.4, 4: 0.35, [end]: 0.25 },
  '2': { 3: 0.95, [end]: 0.05 },
  '2,3': { [end]: 0.9, 4: 0.1 },
}

function logitsAfter(said: readonly number[]): Float32Array {
  const chances = language[said.join(',')] ?? { [end]: 0.6, 4: 0.4 }
  return Float32Array.from({ length: 5 }, (_, token) => Math.log(chances[token] ?? 1e-6))
}

/** Runs a search to its end; `rows` is how many rows each step had. */
function generate(search: Search): { ids: readonly number[]; rows: number[] } {
  let said: number[][] = [[]]
  const rows: number[] = []
  for (;;) {
    rows.push(said.length)
    const move = search.advance(said.map(logitsAfter))
    if (move.kind === 'finished') return { ids: move.ids, rows }
    const before = said
    said = move.parents.map((parent, index) => (before[parent] ?? []).concat(move.tokens[index] ?? -1))
  }
}

const beams = (options: Partial<BeamOptions> = {}): Search =>
  createBeamSearch([9], rules, { numBeams: 2, lengthPenalty: 1, earlyStopping: false, ...options })

describe('a search', () => {
  it('by greed takes the likeliest token and so misses the likeliest sentence, which beams find', () => {
    expect(generate(createGreedySearch([9], rules)).ids).toEqual([1, 3, end])
    expect(generate(beams()).ids).toEqual([2, 3, end])
  })

  it('has one row at first and then one for each beam', () => {
    const { rows } = generate(beams({ numBeams: 3 }))
    expect(rows[0]).toBe(1)
    expect(Math.max(...rows.slice(1))).toBe(3)
  })

  it('with a length penalty below zero prefers short sentences', () => {
    const { ids } = generate(beams({ numBeams: 4, lengthPenalty: -4 }))
    expect(ids.length).toBeLessThan(3)
  })

  it('with early stopping ends as soon as enough sentences are finished', () => {
    const patient = generate(beams({ lengthPenalty: 2 })).rows.length
    expect(generate(beams({ lengthPenalty: 2, earlyStopping: true })).rows.length).toBeLessThan(patient)
  })

  it.each([
    createGreedySearch([9], { ...rules, maxLength: 2 }),
    createBeamSearch([9], { ...rules, maxLength: 2 }, { numBeams: 2, lengthPenalty: 1, earlyStopping: false }),
  ])('ends at the longest length', (search) => {
    expect(generate(search).ids).toHaveLength(1)
  })

  it('fails where the rules leave no token, and where the decoder gave no numbers', () => {
    const nothing = { ...rules, suppressedIds: [0, 1, 2, 3, 4] }
    expect(() => createGreedySearch([9], nothing).advance([logitsAfter([])])).toThrow('ruled out')
    expect(() =>
      createBeamSearch([9], nothing, { numBeams: 2, lengthPenalty: 1, earlyStopping: false }).advance([
        logitsAfter([]),
      ]),
    ).toThrow('ruled out')
    expect(() => createGreedySearch([9], rules).advance([Float32Array.of(NaN, 1)])).toThrow('not a number')
  })
})
