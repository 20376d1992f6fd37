import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { beforeEach, expect, onTestFinished, test } from 'vitest'

import { createChangeHints, type ChangeHints } from './change-hints.ts'
import { readRepository } from './repository.ts'

let repository: string

beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-hints-'))
  await mkdir(join(repository, 'tiny/1/onnx'), { recursive: true })
  await writeFile(join(repository, 'tiny/1/onnx/model.onnx'), 'a')
  return async () => await rm(repository, { recursive: true })
})

function open(options: Parameters<typeof createChangeHints>[0] = {}): ChangeHints {
  const hints = createChangeHints({ isLocal: async () => true, ...options })
  onTestFinished(hints.close)
  return hints
}

async function look(hints: ChangeHints): Promise<void> {
  await readRepository(repository, hints.begin())
}

const isLinux = process.platform === 'linux'

test.runIf(isLinux).each([
  ['a file deep in a version', 'tiny/1/onnx/more.onnx'],
  ['a file that was there', 'tiny/1/onnx/model.onnx'],
  ['the aliases', 'tiny/aliases.json'],
])('a change of %s is a reason to look, which ends with the look', async (_, file) => {
  const hints = open()
  expect(hints.unchanged()).toBe(false)
  await look(hints)
  expect(hints.unchanged()).toBe(true)
  await writeFile(join(repository, file), 'b')
  await expect.poll(() => hints.unchanged()).toBe(false)
  await look(hints)
  expect(hints.unchanged()).toBe(true)
})

test.runIf(isLinux)('a new model is seen, and what comes into it later', async () => {
  const hints = open()
  await look(hints)
  await mkdir(join(repository, 'other/1'), { recursive: true })
  await expect.poll(() => hints.unchanged()).toBe(false)
  await look(hints)
  await writeFile(join(repository, 'other/1/model.json'), '{}')
  await expect.poll(() => hints.unchanged()).toBe(false)
})

test.runIf(isLinux)('a folder that was put in the place of another is watched', async () => {
  const hints = open()
  await look(hints)
  await rename(join(repository, 'tiny/1'), join(repository, 'tiny/.old'))
  await mkdir(join(repository, 'tiny/1'))
  await expect.poll(() => hints.unchanged()).toBe(false)
  await look(hints)
  expect(hints.unchanged()).toBe(true)
  await writeFile(join(repository, 'tiny/1/model.json'), '{}')
  await expect.poll(() => hints.unchanged()).toBe(false)
})

test.runIf(isLinux)('what lies behind a link is looked at every time', async () => {
  const hints = open()
  await symlink(join(repository, 'tiny/1/onnx/model.onnx'), join(repository, 'tiny/1/linked.onnx'))
  await look(hints)
  expect(hints.unchanged()).toBe(false)
})

test('what another machine can write to is looked at every time', async () => {
  const hints = open({ isLocal: async () => false })
  await look(hints)
  expect(hints.unchanged()).toBe(false)
})

test.runIf(isLinux)('after half a minute it is time for a look, told of a change or not', async () => {
  let now = 0
  const hints = open({ now: () => now })
  await look(hints)
  expect(hints.unchanged()).toBe(true)
  now = 30_000
  expect(hints.unchanged()).toBe(false)
})
