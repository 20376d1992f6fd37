import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { versionFolders } from './find-model.ts'
import { readRemoteModel, runsHere } from './remote-model.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'remote-model-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

const engine = { kind: 'openai', url: 'http://gpu:8000/v1', model: 'big' }
const location = () => ({ name: 'far', version: '1', folder })
async function write(json: unknown): Promise<void> {
  await writeFile(join(folder, 'model.json'), JSON.stringify(json))
}

describe('a folder whose model.json names a server', () => {
  it('is a model of the task that the server is for, with defaults', async () => {
    await write({ engine })
    expect(readRemoteModel(location())).toMatchObject({
      task: 'image-text-to-text',
      engine: { max_in_flight: 64 },
      max_images: 16,
      defaults: { temperature: 0, max_new_tokens: 512 },
      cache: true,
    })
    expect(runsHere(location())).toBe(false)
    await write({ engine: { ...engine, kind: 'open-inference' }, cache: false })
    expect(readRemoteModel(location())).toMatchObject({ task: 'tensors', cache: false })
  })

  it('is version 1 where it has no folders for versions', async () => {
    await write({ engine })
    expect(await versionFolders(folder)).toEqual(new Map([['1', folder]]))
  })

  it.each([
    [{ engine: { ...engine, url: 'file:///etc/passwd' } }, /engine\.url: an address with http/],
    [{ engine: { ...engine, url: 'http://me:secret@gpu' } }, /engine\.url: an address without a user/],
    [{ engine: { ...engine, api_key_env: 'AWS_SECRET_ACCESS_KEY' } }, /api_key_env: .*REMOTE_ENGINE_KEY_/],
    [{ engine: { ...engine, kind: 'grpc' } }, /engine\.kind/],
    [{ engine, task: 'tensors' }, /task: image-text-to-text, which openai is for/],
    [{ engine, labels: ['a'] }, /labels: no field of this name/],
  ])('is refused with the field that is wrong: %#', async (json, sentence) => {
    await write(json)
    expect(() => readRemoteModel(location())).toThrow(sentence)
    expect(runsHere(location())).toBe(false)
  })

  it('is none where it names no server', async () => {
    await write({ task: 'image-classification' })
    expect([readRemoteModel(location()), runsHere(location())]).toEqual([null, true])
  })
})
