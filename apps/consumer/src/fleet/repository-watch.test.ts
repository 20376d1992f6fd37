import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { beforeEach, expect, test } from 'vitest'

import { createRepositoryWatch } from './repository-watch.ts'
import { misnamedModels, readRepository } from './repository.ts'

let repository: string
let look: () => Promise<Record<string, boolean>>

beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-repository-'))
  await write('a/1/onnx/model.onnx', 'graph')
  const watch = createRepositoryWatch()
  look = async () => {
    const models = [...watch(await readRepository(repository))]
    return Object.fromEntries(
      models.flatMap(([name, { versions }]) =>
        [...versions].map(([version, { settled }]) => [`${name}@${version}`, settled]),
      ),
    )
  }
  const folder = repository
  return async () => rm(folder, { recursive: true })
})

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(repository, path, '..'), { recursive: true })
  await writeFile(join(repository, path), text)
}

test('what is there at the start is taken at once; what comes later when it no longer changes', async () => {
  expect(await look()).toEqual({ 'a@1': true })
  await write('a/2/model.json', '{}')
  expect(await look()).toEqual({ 'a@1': true, 'a@2': false })
  await write('a/2/onnx/model.onnx', 'gr')
  expect(await look()).toEqual({ 'a@1': true, 'a@2': false })
  await write('a/2/onnx/model.onnx', 'graph')
  expect(await look()).toEqual({ 'a@1': true, 'a@2': false })
  expect(await look()).toEqual({ 'a@1': true, 'a@2': true })
})

test('a folder that is missing for a moment is not gone', async () => {
  await look()
  await cp(join(repository, 'a'), join(repository, '.kept'), { recursive: true })
  await rm(join(repository, 'a'), { recursive: true })
  expect(await look()).toEqual({ 'a@1': false })
  await cp(join(repository, '.kept'), join(repository, 'a'), { recursive: true })
  expect(await look()).toEqual({ 'a@1': false })
  expect(await look()).toEqual({ 'a@1': true })
  await rm(join(repository, 'a'), { recursive: true })
  await look()
  expect(await look()).toEqual({})
})

test('another file is a change; a card or an example is none', async () => {
  const signature = async (): Promise<string | undefined> =>
    (await readRepository(repository)).get('a')?.versions.get('1')?.signature
  const before = await signature()
  await write('a/1/README.md', 'card')
  await write('a/1/examples/one.txt', 'example')
  expect(await signature()).toBe(before)
  await write('a/1/onnx/other.onnx', 'other')
  expect(await signature()).not.toBe(before)
})

test('names that are no model’s or version’s are passed over, and a broken aliases.json is told', async () => {
  await write('.git/1/x', '')
  await write('A Model/1/x', '')
  await write('a/notes.txt', '')
  await write('a/aliases.json', '{"stable":1}')
  const view = await readRepository(repository)
  expect([...view.keys()]).toEqual(['a'])
  expect(view.get('a')).toMatchObject({ aliases: {}, aliasesProblem: expect.stringContaining('aliases.json') })
  await write('a/aliases.json', '{"stable":"1"}')
  expect((await readRepository(repository)).get('a')).toMatchObject({ aliases: { stable: '1' }, aliasesProblem: null })
})

test('a repository that can not be read is an error, not an empty one', async () => {
  await expect(readRepository(join(repository, 'nowhere'))).rejects.toThrow('ENOENT')
})

test('a model without folders for versions is version 1; one whose name no model may have is told with a better one', async () => {
  const files = { 'clip/config.json': '{}', 'clip/onnx/model.onnx': '', 'ViT-Base/model.onnx': '', 'Notes/a.txt': '' }
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(repository, file)), { recursive: true })
    await writeFile(join(repository, file), text)
  }
  const view = await readRepository(repository)
  expect(view.get('clip')?.versions.get('1')?.folder).toBe(join(repository, 'clip'))
  expect(await misnamedModels(repository)).toEqual([{ folder: 'ViT-Base', better: 'vit-base' }])
})
