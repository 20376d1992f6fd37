import { describe, expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

const image = png.toString('base64')
const broken = Buffer.from('no image at all')

async function postForm(api: TestApi, fields: [string, string | Blob][]): Promise<Response> {
  const form = new FormData()
  for (const [name, value] of fields) form.append(name, value)
  return fetch(`${api.url}/jobs`, { method: 'POST', body: form })
}

const postRaw = async (api: TestApi, query: string, body: Buffer): Promise<Response> =>
  fetch(`${api.url}/jobs?${query}`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png' },
    body: Uint8Array.from(body),
  })

describe('a model that is not there is 404, whatever else is wrong with the submission', () => {
  test.each([
    ['nothing', { input: { image, question: '?' } }],
    ['no question', { input: { image } }],
    ['no input', {}],
    ['no image', { input: { question: '?' } }],
    ['an image that is no base64', { input: { image: '***', question: '?' } }],
    ['an image that is none', { input: { image: broken.toString('base64'), question: '?' } }],
    ['an upload that is not there', { input: { image: `img_${'0'.repeat(64)}`, question: '?' } }],
    ['an address, though none is taken', { input: { image: 'https://example.com/a.png', question: '?' } }],
    ['parameters that are no object', { input: { image, question: '?' }, parameters: 7 }],
    ['parameters of another model', { input: { image, question: '?' }, parameters: { beams: 3 } }],
    ['an unknown field', { input: { image, question: '?' }, colour: 'red' }],
    ['a deadline that is none', { input: { image, question: '?' }, deadline_ms: 'soon' }],
    ['an input that is too large', { input: { image, question: '?'.repeat(70_000) } }],
  ])('as JSON, %s', async (_, rest) => {
    const api = await startApi()
    for (const model of ['nope', 'nope@1', 'shapes-vqa@7', 'shapes-vqa@stable']) {
      const problem = await problemOf(await postJson(api, { model, ...rest }))
      expect(problem).toMatchObject({ status: 404, code: 'model_not_found' })
      expect(problem.detail).toContain('There are: shapes-vqa@1.')
    }
  })

  test.each([
    ['no question', [['image', new Blob([png])]]],
    ['no image', [['question', '?']]],
    [
      'an empty image',
      [
        ['question', '?'],
        ['image', new Blob([])],
      ],
    ],
    [
      'two images',
      [
        ['question', '?'],
        ['image', new Blob([png])],
        ['image', new Blob([png])],
      ],
    ],
    [
      'a file of another name',
      [
        ['question', '?'],
        ['picture', new Blob([png])],
      ],
    ],
    [
      'an image that is none',
      [
        ['question', '?'],
        ['image', new Blob([broken])],
      ],
    ],
    [
      'parameters that are no JSON',
      [
        ['image', new Blob([png])],
        ['question', '?'],
        ['parameters', '{'],
      ],
    ],
    [
      'a field twice',
      [
        ['image', new Blob([png])],
        ['question', '?'],
        ['cache', 'true'],
        ['cache', 'true'],
      ],
    ],
  ] as [string, [string, string | Blob][]][])('as a form, %s', async (_, fields) => {
    const api = await startApi()
    for (const at of [0, fields.length]) {
      const named = fields.toSpliced(at, 0, ['model', 'nope'])
      expect(await problemOf(await postForm(api, named))).toMatchObject({ status: 404, code: 'model_not_found' })
    }
    expect((await postForm(api, [['model', 'shapes-vqa'], ...fields])).status).not.toBe(404)
  })

  test.each([
    ['no question', '', png],
    ['an image that is none', 'question=why', broken],
    ['no image', 'question=why', Buffer.alloc(0)],
    ['parameters that are no JSON', 'question=why&parameters=7', png],
    ['a field twice', 'question=why&priority=low&priority=low', png],
    ['an image in the query', 'question=why&image=x', png],
  ])('as the bytes of an image, %s', async (_, query, body) => {
    const api = await startApi()
    expect(await problemOf(await postRaw(api, `model=nope&${query}`, body))).toMatchObject({ code: 'model_not_found' })
    expect((await postRaw(api, `model=shapes-vqa&${query}`, body)).status).not.toBe(404)
  })
})

test('as a form without files, a field that is no UTF-8', async () => {
  const api = await startApi()
  const post = async (model: string): Promise<Response> =>
    fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: `question=%ff&model=${model}`,
    })
  expect(await problemOf(await post('nope'))).toMatchObject({ code: 'model_not_found' })
  expect(await problemOf(await post('shapes-vqa'))).toMatchObject({ code: 'invalid_request' })
})

describe('what can not be read stays 400', () => {
  test.each([
    ['a body that is no JSON', '{"model":"nope",'],
    ['a model that is no text', JSON.stringify({ model: 7, input: { image, question: '?' } })],
    ['a model that can be none', JSON.stringify({ model: 'a@b@c', input: { image, question: '?' } })],
    ['a list', JSON.stringify([{ model: 'nope' }])],
  ])('%s', async (_, sent) => {
    const api = await startApi()
    expect(await problemOf(await postJson(api, sent))).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('a form that is cut, and one with two models', async () => {
    const api = await startApi()
    const cut = '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nnope\r\n--b\r\nContent-Dis'
    const headers = { 'Content-Type': 'multipart/form-data; boundary=b' }
    expect((await fetch(`${api.url}/jobs`, { method: 'POST', headers, body: cut })).status).toBe(400)
    expect(
      (
        await postForm(api, [
          ['model', 'nope'],
          ['model', 'nope'],
        ])
      ).status,
    ).toBe(400)
  })

  test('while Redis is away another fault is still told', async () => {
    const api = await startApi()
    api.models.down = true
    expect((await postJson(api, { model: 'nope' })).status).toBe(400)
    expect((await postJson(api, { model: 'nope', input: { image, question: '?' } })).status).toBe(503)
  })
})

describe('while no consumer has announced anything', () => {
  test('no model is said not to exist: 503 with Retry-After', async () => {
    const api = await startApi({ ADMIN_KEY: 'sesame' })
    api.models.models = []
    const admin = { Authorization: 'Bearer sesame' }
    const answers = [
      await postJson(api, { model: 'shapes-vqa', input: { image, question: '?' } }),
      await postJson(api, { input: { image, question: '?' } }),
      await fetch(`${api.url}/models/shapes-vqa`),
      await fetch(`${api.url}/models/shapes-vqa/load`, { method: 'POST', headers: admin }),
      await fetch(`${api.url}/models/shapes-vqa/purge`, { method: 'POST', headers: admin }),
    ]
    for (const answer of answers) {
      expect(answer.headers.get('retry-after')).toBe('2')
      expect(await problemOf(answer)).toMatchObject({
        status: 503,
        code: 'model_unavailable',
        detail: 'No consumer has announced a model yet.',
      })
    }
    expect(await (await fetch(`${api.url}/models`)).json()).toEqual({ models: [] })
  })

  test('a submission that could be accepted by no model at all is still 400', async () => {
    const api = await startApi()
    api.models.models = []
    expect((await postJson(api, { model: 'shapes-vqa' })).status).toBe(400)
  })
})
