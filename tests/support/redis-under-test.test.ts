import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import { findRedisUnderTest } from './redis-under-test.ts'

/** A folder with a program of this name in it. */
async function folderWith(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-under-test-'))
  onTestFinished(async () => rm(folder, { recursive: true }))
  await writeFile(join(folder, name), '#!/bin/sh\n')
  await chmod(join(folder, name), 0o755)
  return folder
}

test('TEST_REDIS names the server that tests start, by its path or by its name on PATH', async () => {
  const folder = await folderWith('valkey-server')
  const path = join(folder, 'valkey-server')
  const server = { kind: 'binary', path, libraryPath: null }
  expect(await findRedisUnderTest({ PATH: `/nowhere:${folder}`, TEST_REDIS: 'valkey-server' })).toEqual(server)
  expect(await findRedisUnderTest({ PATH: '', TEST_REDIS: path })).toEqual(server)
})

test('a TEST_REDIS that is not there fails the tests, though another server is', async () => {
  const env = { PATH: await folderWith('redis-server'), TEST_REDIS: 'valkey-server' }
  await expect(findRedisUnderTest(env)).rejects.toThrow('valkey-server')
})
