import { expect, test } from 'vitest'

import { type Actual, emptyVersion, type PoolState } from './actual.ts'
import { type FleetEvent, recordEvent } from './record.ts'

const of = { model: 'a', version: '1', pool: 1 }
const happened: Record<string, FleetEvent> = {
  refused: { kind: 'refused', ...of, detail: 'bad' },
  decided: { kind: 'decided', ...of, fleet: null },
  'drain-over': { kind: 'drain-over', ...of },
}

function withPool(state: PoolState): Actual {
  const target = { folder: '', key: '', attempt: '' }
  const pool = { id: 1, target, following: null, state, trouble: null, inFlight: 0 }
  const versions = new Map([['1', { ...emptyVersion(), pools: [pool] }]])
  const folders = new Map([['1', 5]])
  const model = { versions, aliases: new Map<string, string>(), taking: new Set<string | null>(), folders }
  return { models: new Map([['a', model]]), problems: new Set(), nextPoolId: 2 }
}

test.each([
  ['refused', 'closing', { phase: 'closing' }],
  ['refused', 'running', { phase: 'running', fleet: null }],
  ['decided', 'retired', { phase: 'retired', overdue: false }],
  ['drain-over', 'closing', { phase: 'closing' }],
] as const)('%s that comes too late changes nothing: the pool is %s', (kind, _, state) => {
  const actual = withPool(state)
  const event = happened[kind]
  if (event === undefined) throw new Error('No such event')
  recordEvent(actual, event)
  expect(actual).toEqual(withPool(state))
})

test('what happens to a pool, version or model that is gone changes nothing', () => {
  const actual = withPool({ phase: 'loading' })
  for (const gone of [{ pool: 2 }, { version: '2' }, { model: 'b' }]) {
    recordEvent(actual, { kind: 'refused', ...of, detail: 'bad', ...gone })
  }
  expect(actual).toEqual(withPool({ phase: 'loading' }))
})

test('a version whose folder has come back while it was being forgotten stays known as there', () => {
  const actual = withPool({ phase: 'loading' })
  const folders = actual.models.get('a')?.folders
  folders?.set('1', null)
  recordEvent(actual, { kind: 'forgotten', model: 'a', version: '1' })
  expect(folders).toEqual(new Map([['1', null]]))
})
