import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

import { isRunning } from '../test/processes.ts'
import { ask, askAll, closeUnrulyPools, openUnrulyPool } from '../test/unruly-pool.ts'
import { HandedBackError } from './inference.ts'

afterEach(closeUnrulyPools)

describe('closing', () => {
  it('hands back what no engine has, and lets the rest finish', async () => {
    const pool = openUnrulyPool()
    await pool.ready
    const { pids } = pool
    const asked = askAll(
      pool,
      Array.from({ length: 12 }, () => 'sleep 50'),
    )
    await vi.waitFor(() => expect(pool.inFlight).toBe(12))
    await pool.close({ deadlineMs: 30_000 })
    // Two batches' worth, of which one runs and one is prepared, and a job for the time in which it runs.
    expect(await asked).toEqual([
      ...Array.from({ length: 9 }, () => 'sleep 50'),
      ...Array.from({ length: 3 }, () => 'HandedBackError'),
    ])
    expect(pids.filter(isRunning)).toEqual([])
    await expect(ask(pool, 'good')).rejects.toBeInstanceOf(HandedBackError)
  })

  it('hands back what is not done by the deadline, and leaves no process', async () => {
    const launched: string[] = []
    const pool = openUnrulyPool({ onLaunch: (ids) => launched.push(...ids) })
    await pool.ready
    const asked = askAll(pool, ['hang', 'good'])
    await vi.waitFor(() => expect(launched).not.toEqual([]))
    const { pids } = pool
    await pool.close({ deadlineMs: 50 })
    expect(await asked).toEqual(['HandedBackError', 'HandedBackError'])
    expect(pids.filter(isRunning)).toEqual([])
  })

  it('does not wait for the deadline where an engine dies meanwhile', async () => {
    const launched: string[] = []
    const pool = openUnrulyPool({ onLaunch: (ids) => launched.push(...ids) })
    await pool.ready
    // The one that dies comes first: the other may come too late for its batch.
    const asked = askAll(pool, ['die', 'sleep 300'])
    await vi.waitFor(() => expect(launched).not.toEqual([]))
    await pool.close({ deadlineMs: 1_000_000 })
    expect(await asked).toEqual(['HandedBackError', 'HandedBackError'])
  })

  it('a second close with an earlier deadline holds', async () => {
    const launched: string[] = []
    const pool = openUnrulyPool({ onLaunch: (ids) => launched.push(...ids) })
    await pool.ready
    const asked = askAll(pool, ['hang'])
    await vi.waitFor(() => expect(launched).not.toEqual([]))
    const patient = pool.close({ deadlineMs: 1_000_000 })
    await pool.close({ deadlineMs: 0 })
    await patient
    expect(await asked).toEqual(['HandedBackError'])
  })

  it('engines end by themselves when their parent is killed', async () => {
    const owner = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('../test/pool-owner.ts', import.meta.url))],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line]: unknown[] = await once(owner.stdout, 'data')
    const pids = z.array(z.int()).parse(JSON.parse(String(line)))
    expect(pids.filter(isRunning)).toHaveLength(2)
    owner.kill('SIGKILL')
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), { timeout: 10_000 })
  })
})
