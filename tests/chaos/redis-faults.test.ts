import { describe, expect, test } from 'vitest'

import { evictingPolicy, fillMemory } from './redis-pressure.ts'
import { restartRedis } from './redis-restart.ts'
import { cutConnections, freezeRedis } from './redis-silence.ts'

const nothingLost = { lost: 0, duplicated: 0, changed: 0, stuck: 0, 'answered otherwise': 0, 'left in Redis': 0 }
const limitMs = 120_000

describe('no accepted job is lost, and all goes on by itself, when Redis', () => {
  test(
    'is killed with -9 and its append-only file was written every second',
    async () => {
      const finding = await restartRedis({ appendFsync: 'everysec', end: 'SIGKILL' }, 1000)
      expect(finding.figures).toMatchObject(nothingLost)
      expect(finding.held).toBe(true)
    },
    limitMs,
  )

  test(
    'is frozen: submissions get 503 meanwhile, no connection or wait is left over',
    async () => {
      const finding = await freezeRedis(2500)
      expect(finding.figures).toMatchObject({ ...nothingLost, 'answered meanwhile': '503', 'waits left': 0 })
      expect(finding.held).toBe(true)
    },
    limitMs,
  )

  test(
    'cuts every connection',
    async () => {
      const finding = await cutConnections(2)
      expect(finding.figures).toMatchObject({ ...nothingLost, 'waits left': 0 })
      expect(finding.held).toBe(true)
    },
    limitMs,
  )

  test(
    'is full: submissions get 503, what was accepted is finished',
    async () => {
      const finding = await fillMemory(1500)
      expect(finding.figures).toMatchObject({ ...nothingLost, 'answered meanwhile': '503', 'accepted meanwhile': 0 })
      expect(finding.held).toBe(true)
    },
    limitMs,
  )
})

test(
  'a Redis that evicts is refused by consumers and makes the API unready, both saying why',
  async () => {
    const finding = await evictingPolicy()
    expect(finding.held).toBe(true)
  },
  limitMs,
)
