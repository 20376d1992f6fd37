import { expect, test } from 'vitest'

import { chatModel, wordyModels } from '../../test-support/chat-models.ts'
import { servedModel } from '../../test-support/served-models.ts'
import { startApi } from '../../test-support/start-api.ts'

test('every announced model is listed, and which of them can be asked in a conversation', async () => {
  const api = await startApi()
  api.models.models = [
    chatModel,
    ...wordyModels,
    servedModel({ name: 'gone' }, 0),
    { ...servedModel({ name: 'new' }), manifest: null },
  ]
  const response = await fetch(`${api.url}/v1/models`)
  const { object, data } = Object(await response.json())
  expect(object).toBe('list')
  const short = data.map(({ id, created, task, chat }: Record<string, unknown>) => [id, created, task, chat])
  expect(short).toEqual([
    ['gone', 0, 'visual-question-answering', true],
    ['new', 1_750_000_000, null, null],
    ['shapes-caption', 1_750_000_000, 'image-to-text', true],
    ['shapes-chat', 1_750_000_000, 'image-text-to-text', true],
    ['shapes-classify', 1_750_000_000, 'image-classification', true],
    ['shapes-clip', 1_750_000_000, 'zero-shot-image-classification', true],
    ['shapes-embed', 1_750_000_000, 'image-feature-extraction', false],
    ['shapes-entailment', 1_750_000_000, 'visual-entailment', true],
    ['shapes-vqa', 1_750_000_000, 'visual-question-answering', true],
  ])
})

test('a model is found by name, version and alias, as jobs name it', async () => {
  const api = await startApi()
  api.models.models = [{ ...servedModel(), aliases: ['stable'] }]
  for (const id of ['shapes-vqa', 'shapes-vqa@1', 'shapes-vqa@stable', 'shapes-vqa%401']) {
    const response = await fetch(`${api.url}/v1/models/${id}`)
    expect(await response.json()).toMatchObject({
      id: decodeURIComponent(id),
      object: 'model',
      owned_by: 'vision-queue',
    })
  }
  for (const id of ['shapes-vqa@2', 'nothing', 'a@b@c']) {
    const response = await fetch(`${api.url}/v1/models/${id}`)
    expect([response.status, await response.json()]).toEqual([
      404,
      { error: expect.objectContaining({ code: 'model_not_found', message: expect.stringContaining('shapes-vqa@1') }) },
    ])
  }
})
