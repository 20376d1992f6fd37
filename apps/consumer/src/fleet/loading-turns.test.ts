import { expect, test } from 'vitest'

import { type Actual, emptyVersion, type Pool } from './actual.ts'
import type { Desired, DesiredModel } from './desired.ts'
import { parseModelPolicy } from './model-policy.ts'
import { plan } from './plan.ts'
import { recordAction, recordEvent } from './record.ts'
import { manifest } from './test-support/plan-rows.ts'

const trouble = { detail: 'killed', retryAt: 1, lost: true }

/** A repository of these models, none of which is open yet. */
function begin(
  names: readonly string[],
  { atOnce = 1, first = [] as string[], waiting = {} as Record<string, number> },
) {
  const models = names.map((name): [string, DesiredModel] => {
    const selection = parseModelPolicy('*').of(name)
    if (selection === null) throw new Error('Not selected')
    const order = { wanted: 'configured', at: 0, reloadAt: 0 } as const
    const versions = new Map([['1', { folder: `/models/${name}`, signature: 'files', settled: true, order }]])
    return [name, { selection, versions, aliases: {}, pinned: new Map(), waiting: waiting[name] ?? 0 }]
  })
  const desired: Desired = { at: 1, lingerMs: 1, models: new Map(models), loads: { atOnce, first }, problems: [] }
  const actual: Actual = { models: new Map(), problems: new Set(), nextPoolId: 1 }
  return { desired, actual }
}

/** Does all that can be done now, and tells which models load. */
function settle({ desired, actual }: ReturnType<typeof begin>): string[] {
  for (let actions = plan(desired, actual); actions.length > 0; actions = plan(desired, actual)) {
    for (const action of actions) recordAction(actual, action, { at: desired.at, now: desired.at })
  }
  return [...actual.models.keys()].filter((name) => poolOf(actual, name)?.state.phase === 'loading').toSorted()
}

function poolOf(actual: Actual, name: string): Pool | undefined {
  return (actual.models.get(name)?.versions.get('1') ?? emptyVersion()).pools[0]
}

function happen(actual: Actual, name: string, event: 'loaded' | 'trouble' | 'refused'): void {
  const of = { model: name, version: '1', pool: poolOf(actual, name)?.id ?? 0 }
  if (event === 'loaded') recordEvent(actual, { kind: event, ...of, manifest: manifest(), fleet: null })
  else if (event === 'trouble') recordEvent(actual, { kind: event, ...of, trouble })
  else recordEvent(actual, { kind: event, ...of, detail: 'bad' })
}

test('no more versions load at a time than there are turns, and the next begins when one is ready', () => {
  const world = begin(['a', 'b', 'c'], { atOnce: 2 })
  expect(settle(world)).toEqual(['a', 'b'])
  happen(world.actual, 'a', 'loaded')
  expect(settle(world)).toEqual(['b', 'c'])
})

test('models with waiting jobs load first, then those that are named, then the others', () => {
  const world = begin(['a', 'b', 'c', 'd'], { first: ['c'], waiting: { d: 3, b: 1 } })
  const order = [0, 1, 2, 3].map(() => {
    const [name = 'none'] = settle(world)
    happen(world.actual, name, 'loaded')
    return name
  })
  expect(order).toEqual(['d', 'b', 'c', 'a'])
})

test.each(['trouble', 'refused'] as const)('a version that does not load (%s) holds nobody up', (event) => {
  const world = begin(['a', 'b'], {})
  expect(settle(world)).toEqual(['a'])
  happen(world.actual, 'a', event)
  expect(settle(world)).toContain('b')
})
