import { readdirSync } from 'node:fs'
import { getPriority } from 'node:os'

import { afterEach, expect, it } from 'vitest'

import { closeUnrulyPools, openUnrulyPool } from '../test/unruly-pool.ts'

afterEach(closeUnrulyPools)

it.runIf(process.platform === 'linux')('an engine that is ready gives way with all its threads', async () => {
  const pool = openUnrulyPool({ niceness: 7 })
  await pool.ready
  const [pid = 0] = pool.pids
  const priorities = readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)))
  expect(new Set(priorities)).toEqual(new Set([Math.min(19, getPriority() + 7)]))
})
