import { describe, expect, test } from 'vitest'

import {
  type Arm,
  armsOf,
  compareVersions,
  routeAgain,
  type Routes,
  routeTo,
  servingOf,
  type VersionState,
} from './routes.ts'

const routes: Routes = {
  versions: new Set(['1', '2', '10']),
  serving: '2',
  aliases: new Map<string, readonly Arm[]>([
    ...armsOf({ stable: '1', '10': '1', gone: '7' }),
    [
      'canary',
      [
        { version: '1', weight: 9 },
        { version: '2', weight: 1 },
      ],
    ],
    [
      'half-gone',
      [
        { version: '7', weight: 5 },
        { version: '2', weight: 1 },
        { version: '10', weight: 0 },
      ],
    ],
  ]),
}

describe('a job that is submitted goes', () => {
  test.each([
    ['that names no version to the one that serves, and is not pinned', null, 0, { version: '2', pinned: false }],
    ['that names a version to that one', '1', 0, { version: '1', pinned: true }],
    ['that names an alias to what it stands for', 'stable', 0.99, { version: '1', pinned: true }],
    ['by a version rather than by an alias of its name', '10', 0, { version: '10', pinned: true }],
    ['by the first arm for what is drawn below its share', 'canary', 0.899, { version: '1', pinned: true }],
    ['by the second arm for the rest', 'canary', 0.9, { version: '2', pinned: true }],
    ['by the last arm at the end', 'canary', 0.999_999, { version: '2', pinned: true }],
    ['by no arm whose version is gone, nor by one of weight 0', 'half-gone', 0, { version: '2', pinned: true }],
    ['nowhere by an alias of a version that is gone', 'gone', 0, null],
    ['nowhere by a version that is not there', '3', 0, null],
    ['nowhere by a name that every object has', 'constructor', 0, null],
  ] as const)('%s', (_, named, draw, route) => {
    expect(routeTo(routes, named, () => draw)).toEqual(route)
  })

  test('nowhere while nothing serves, unless it names a version', () => {
    const none = { ...routes, serving: null }
    expect(routeTo(none, null)).toBeNull()
    expect(routeTo(none, '1')).toEqual({ version: '1', pinned: true })
  })

  test('by arms as often as they weigh', () => {
    const share = Array.from({ length: 1000 }, (_, index) => routeTo(routes, 'canary', () => index / 1000)?.version)
    expect(share.filter((version) => version === '2')).toHaveLength(100)
  })
})

describe('a job that was routed before runs', () => {
  test.each([
    ['on its version while that is here, whatever serves', '1', false, '1'],
    ['on its version if it is pinned', '1', true, '1'],
    ['on the one that serves if its own is gone', '3', false, '2'],
    ['nowhere if its own is gone and it is pinned', '3', true, null],
    ['by no alias: the choice was made before', 'stable', true, null],
  ] as const)('%s', (_, version, pinned, here) => {
    expect(routeAgain(routes, { version, pinned })).toBe(here)
  })

  test('on its version even while nothing serves', () => {
    const none = { ...routes, serving: null }
    expect([
      routeAgain(none, { version: '1', pinned: false }),
      routeAgain(none, { version: '3', pinned: false }),
    ]).toEqual(['1', null])
  })
})

describe('of several versions serves', () => {
  const state = (version: string, changes: Partial<VersionState> = {}): VersionState => ({
    version,
    serving: false,
    status: 'ready',
    manifest: {},
    ...changes,
  })
  test.each<[string, VersionState[], string | null]>([
    ['the highest, by number', [state('9'), state('10'), state('2')], '10'],
    ['the one that consumers serve, before a higher one', [state('1', { serving: true }), state('2')], '1'],
    [
      'the one that is ready, before a higher one without consumers',
      [state('9'), state('10', { status: 'no_consumers' })],
      '9',
    ],
    [
      'one that loads, before one that failed',
      [state('1', { status: 'loading' }), state('2', { status: 'failed' })],
      '1',
    ],
    [
      'one that failed, before one that is unloaded',
      [state('1', { status: 'failed' }), state('2', { status: 'unloaded' })],
      '1',
    ],
    [
      'one that is known from before, before a first one',
      [state('1', { status: 'loading' }), state('2', { status: 'loading', manifest: null })],
      '1',
    ],
    ['none, if there are none', [], null],
  ])('%s', (_, versions, serving) => {
    expect(servingOf(versions)?.version ?? null).toBe(serving)
    expect(servingOf(versions.toReversed())?.version ?? null).toBe(serving)
  })
})

test('versions are sorted by their numbers', () => {
  expect(['10', '9', '1.10', '1.9', 'b', 'a'].toSorted(compareVersions)).toEqual(['1.9', '1.10', '9', '10', 'a', 'b'])
})
