import { engineProtocol } from '@vision-queue/engine/messages'
import { expect, test } from 'vitest'

import { aManifest, answersOf, aPool } from '../test/records.ts'
import type { EngineEvent } from './engine-event.ts'
import { poolStats } from './pool-figures.ts'
import { reduce } from './reduce.ts'

const at = (ms: number) => ({ ms, unixMs: ms })
const gone: EngineEvent = { kind: 'gone', exit: 'signal SIGKILL', lastWords: '' }
const ready = {
  kind: 'ready' as const,
  protocol: engineProtocol as typeof engineProtocol,
  manifest: aManifest,
  cost: null,
  residentBytes: 0,
}

test('adds up what engines generate, over their deaths and without their warm-ups', () => {
  const figures = {
    encodeMs: 1,
    prefillMs: 2,
    decodeMs: 3,
    imagesKnown: 0,
    imagesNew: 1,
    running: 2,
    waiting: 1,
    reservedBytes: 100,
    heldBytes: 50,
    limitBytes: 1000,
  }
  const pool = aPool()
  const [engine] = pool.engines
  expect(poolStats(pool, 1).generation).toBeUndefined()
  reduce(pool, engine, { ...ready, generation: figures }, at(0))
  reduce(pool, engine, answersOf([], { generation: { ...figures, decodeMs: 13, imagesNew: 4 } }), at(1))
  const told = { running: 2, waiting: 1, reservedBytes: 100, heldBytes: 50, limitBytes: 1000 }
  expect(poolStats(pool, 1).generation).toEqual({
    encodeMs: 0,
    prefillMs: 0,
    decodeMs: 10,
    imagesKnown: 0,
    imagesNew: 3,
    ...told,
  })
  reduce(pool, engine, gone, at(2))
  expect(poolStats(pool, 1).generation).toBeUndefined()
  reduce(pool, engine, { ...ready, generation: figures }, at(3))
  reduce(pool, engine, answersOf([], { generation: { ...figures, decodeMs: 4 } }), at(4))
  expect(poolStats(pool, 1).generation).toMatchObject({ decodeMs: 11, imagesNew: 3, ...told })
})
