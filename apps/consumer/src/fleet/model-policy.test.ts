import { describe, expect, test } from 'vitest'

import {
  highestFirst,
  modelSelectionPattern,
  parseModelPolicy,
  servingVersion,
  wantedVersions,
} from './model-policy.ts'

/** What would be loaded of versions 1, 9 and 10. */
function wanted(
  models: string,
  state: { aliased?: string[]; failed?: string[]; ordered?: Record<string, 'loaded' | 'unloaded'> } = {},
): string[] {
  const selection = parseModelPolicy(models).of('a')
  if (selection === null) return []
  return [
    ...wantedVersions({
      selection,
      versions: highestFirst(['1', '10', '9']),
      aliased: new Set(state.aliased),
      order: (version) => ({ wanted: state.ordered?.[version] ?? 'configured' }),
      hasFailed: (version) => state.failed?.includes(version) === true,
    }),
  ]
}

describe('MODELS', () => {
  test.each([
    ['', ['10']],
    ['*', ['10']],
    ['a', ['10']],
    ['b,a', ['10']],
    ['b', []],
    ['a@9', ['9']],
    ['a@1, a@9', ['9', '1']],
    ['a,a@1', ['10', '1']],
    ['a@*', ['10', '9', '1']],
    ['*@*', ['10', '9', '1']],
    ['*,a@1', ['10', '1']],
  ])('%j selects %j', (models, versions) => expect(wanted(models)).toEqual(versions))

  test.each(['a', 'a@1', 'a@*', '*', '*@*'])('may have %s', (entry) => expect(entry).toMatch(modelSelectionPattern))
  test.each(['a@', '@1', 'a@1@2', 'a*'])('may not have %s', (entry) => expect(entry).not.toMatch(modelSelectionPattern))
})

describe('the latest version', () => {
  test('is the highest that loads', () => {
    expect(wanted('a', { failed: ['10'] })).toEqual(['10', '9'])
    expect(wanted('a', { failed: ['10', '9'] })).toEqual(['10', '9', '1'])
  })
  test('goes back to the one before when it is unloaded', () => {
    expect(wanted('a', { ordered: { '10': 'unloaded' } })).toEqual(['9'])
  })
})

test('what an alias stands for and what an order loads is there beside the latest', () => {
  expect(wanted('a', { aliased: ['1'] })).toEqual(['10', '1'])
  expect(wanted('a', { ordered: { '9': 'loaded' } })).toEqual(['10', '9'])
})

test('an order to unload goes before everything', () => {
  expect(wanted('a@*', { aliased: ['1'], ordered: { '1': 'unloaded', '10': 'unloaded' } })).toEqual(['9'])
})

test('jobs without a version run on the highest ready one that is selected, else on what there is', () => {
  const pinned = parseModelPolicy('a@1').of('a')
  const latest = parseModelPolicy('a').of('a')
  if (pinned === null || latest === null) throw new Error('not selected')
  expect(servingVersion(latest, ['10', '1'])).toBe('10')
  expect(servingVersion(pinned, ['10', '1'])).toBe('1')
  expect(servingVersion(pinned, ['10'])).toBe('10')
  expect(servingVersion(latest, [])).toBeNull()
})
