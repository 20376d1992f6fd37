import { cp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { eventually, manageModels } from './test-support/managed-models.ts'

const { around, announced, start, write, writeBad, states, run } = manageModels()

test('a bad folder is reported with its sentence, the others serve, and it is tried again when it changes', async () => {
  await write('a', '1')
  await writeBad('a', '2')
  await writeBad('b', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *', 'a@2': 'failed', 'b@1': 'failed' })
  expect(announced().find(({ name }) => name === 'b')?.error).toContain('mind-reading')
  expect(around.queues).toEqual(new Set(['a', 'a@1']))
  await write('b', '1')
  await expect.poll(states, eventually).toMatchObject({ 'b@1': 'ready *' })
  expect(announced().find(({ name }) => name === 'b')?.error).toBeNull()
})

test('with nothing but bad folders, or none, it stays up and serves the first good one', async () => {
  start()
  expect(states()).toEqual({})
  await writeBad('a', '1')
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(around.queues).toEqual(new Set())
  await write('a', '2')
  await expect.poll(states, eventually).toMatchObject({ 'a@2': 'ready *' })
})

test('files that fail to take over leave what was loaded serving, with the reason beside it', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  await writeFile(join(around.repository, 'a', '1', 'onnx', 'model.onnx'), 'no graph')
  await expect.poll(() => announced()[0]?.error, eventually).toContain('model.onnx')
  expect(states()).toEqual({ 'a@1': 'ready *' })
  expect((await run(null))?.version).toBe('1')
})

test('a version that leaves the repository is dropped and forgotten; an unreadable repository is no reason to', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  await writeFile(join(around.repository, 'a', 'aliases.json'), '{"stable":"1"}')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect(around.manager?.describe().aliases).toEqual({ a: { stable: '1' } })
  await rm(join(around.repository, 'a', '2'), { recursive: true })
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  await expect.poll(() => around.forgotten, eventually).toEqual(['a@2'])
  const away = `${around.repository}-away`
  await rename(around.repository, away)
  await new Promise((resolve) => {
    setTimeout(resolve, 300)
  })
  expect(states()).toEqual({ 'a@1': 'ready *' })
  await cp(away, around.repository, { recursive: true })
  await rm(away, { recursive: true })
})

test('an alias that is pointed elsewhere follows when its new version is ready', async () => {
  await Promise.all(['1', '2', '3'].map(async (version) => write('a', version)))
  const point = async (version: string): Promise<void> =>
    writeFile(join(around.repository, 'a', 'aliases.json'), JSON.stringify({ stable: version }))
  await point('1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'unloaded', 'a@1': 'ready' })
  const seen: string[] = []
  await point('2')
  await expect
    .poll(() => {
      const target = around.manager?.describe().aliases['a']?.['stable'] ?? ''
      seen.push(`${target} ${states()[`a@${target}`]}`)
      return target
    }, eventually)
    .toBe('2')
  expect(new Set(seen)).toEqual(new Set(['1 ready', '2 ready']))
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'ready', 'a@1': 'unloaded' })
})

test('a selected version that is not there is reported with what is, and loaded when it comes', async () => {
  await write('a', '1')
  start('a@9')
  await expect.poll(states, eventually).toEqual({ 'a@9': 'failed', 'a@1': 'unloaded' })
  expect(announced()[0]?.error).toBe('a has no version 9; it has: 1.')
  await write('a', '9')
  await expect.poll(states, eventually).toEqual({ 'a@9': 'ready *', 'a@1': 'unloaded' })
})
