import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { takeFolder } from './data-lock.ts'
import { processIdentity } from './process-identity.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-lock-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function take(): Promise<{ release(): Promise<void> }> {
  const { signal } = new AbortController()
  return await takeFolder({ folder, leashPid: undefined, onWait: () => undefined, signal })
}

async function writeLock(launcher: { pid: number; identity: string }): Promise<void> {
  await writeFile(join(folder, 'launcher-earlier.lock'), JSON.stringify({ launcher, leash: null }))
}

test('a folder that is held is refused, and free again after its release', async () => {
  const held = await take()
  await expect(take()).rejects.toThrow(`already runs here, as process ${process.pid}`)
  await held.release()

  const again = await take()
  await again.release()
  expect(await readdir(folder)).toEqual([])
})

test('of many that want a folder with a stale lock at once, one gets it', async () => {
  await writeLock({ pid: 2 ** 30, identity: '1' })
  const tries = await Promise.allSettled(Array.from({ length: 20 }, take))

  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('a lock of a dead process whose id another one has now is removed', async () => {
  const identity = (await processIdentity(process.pid)) ?? ''
  await writeLock({ pid: process.pid, identity: `${identity}0` })
  const held = await take()

  expect(await readdir(folder)).not.toContain('launcher-earlier.lock')
  await held.release()
})

test('a lock that a power cut left empty is removed', async () => {
  await writeFile(join(folder, 'launcher-earlier.lock'), '')
  const held = await take()

  expect(await readdir(folder)).not.toContain('launcher-earlier.lock')
  await held.release()
})
