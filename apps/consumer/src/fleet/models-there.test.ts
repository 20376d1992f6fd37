import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { assertModelsThere } from './models-there.ts'

let repository: string

beforeEach(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-repository-'))
})
afterEach(async () => {
  await rm(repository, { recursive: true })
})

async function addModel(name: string): Promise<void> {
  await mkdir(join(repository, name, '1'), { recursive: true })
  await writeFile(join(repository, name, '1', 'model.json'), '{}')
}

test('an empty repository is waited for, whatever is selected of it', async () => {
  for (const models of ['', '*', 'one']) {
    await expect(assertModelsThere(repository, models)).resolves.toBeUndefined()
  }
})

test('one of the named models is enough, and so is *', async () => {
  await addModel('one')
  for (const models of ['', 'one', 'one,two', 'one@7', 'two,*', '*@*']) {
    await expect(assertModelsThere(repository, models)).resolves.toBeUndefined()
  }
})

test('where none of the named models is there, what is there is told', async () => {
  await addModel('one')
  await addModel('other')
  await expect(assertModelsThere(repository, 'oen@1,third')).rejects.toThrow(
    `MODELS: oen, third: no such model in ${repository}. Is one meant? There are: one, other.`,
  )
})
