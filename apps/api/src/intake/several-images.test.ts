import { jobResponseSchema } from '@vision-queue/protocol'
import { blobsOf, inputOfParts } from '@vision-queue/queue'
import { describe, expect, test } from 'vitest'

import { png, pngHeader } from '../test-support/images.ts'
import { servedModel } from '../test-support/served-models.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

const [one, two] = [pngHeader(3, 4), pngHeader(5, 6)]
const question = 'What differs?'

/** An API whose only model takes so many images. */
async function startTaking(min: number, max: number): Promise<TestApi> {
  const api = await startApi()
  api.models.models = [servedModel({ images: { min, max } })]
  return api
}

async function upload(api: TestApi, image: Buffer): Promise<string> {
  const headers = { 'Content-Type': 'image/png' }
  const response = await fetch(`${api.url}/images`, { method: 'POST', headers, body: Uint8Array.from(image) })
  return String(Reflect.get(Object(await response.json()), 'id'))
}

describe('a job has the images that were sent, in their order', () => {
  const base64 = (image: Buffer): string => image.toString('base64')
  test.each<[string, (api: TestApi) => Promise<Response>]>([
    ['as JSON', async (api) => postJson(api, { input: { images: [base64(two), base64(one)], question } })],
    [
      'as a form',
      async (api) => {
        const form = new FormData()
        form.append('image', new Blob([two]), 'two.png')
        form.append('question', question)
        form.append('image', new Blob([one]), 'one.png')
        return fetch(`${api.url}/jobs`, { method: 'POST', body: form })
      },
    ],
    [
      'as a form without files',
      async (api) =>
        fetch(`${api.url}/jobs`, {
          method: 'POST',
          body: new URLSearchParams([
            ['images', base64(two)],
            ['images', base64(one)],
            ['question', question],
          ]),
        }),
    ],
  ])('%s', async (_, post) => {
    const api = await startTaking(2, 2)
    expect((await post(api)).status).toBe(202)
    const [submitted] = api.jobs.submitted
    if (submitted === undefined) throw new Error('nothing was submitted')
    const blobs = blobsOf(submitted.job)
    expect(blobs.map(({ bytes, name }) => [name, bytes])).toEqual([
      ['image', two.length],
      ['image', one.length],
    ])
    expect(blobs.map(({ hash }) => Buffer.from(submitted.blobs.get(hash) ?? []))).toEqual([two, one])
    expect(inputOfParts(submitted.job)).toEqual({ question })
  })
})

test('an uploaded one and one that comes with the job; a retry asks about both again', async () => {
  const api = await startTaking(2, 3)
  const id = await upload(api, one)
  const response = await postJson(api, { input: { images: [id, two.toString('base64')], question } })
  const job = jobResponseSchema.parse(await response.json())
  api.jobs.finish(job.id, 'failed')
  expect((await fetch(`${api.url}/jobs/${job.id}/retry`, { method: 'POST' })).status).toBe(202)
  const [first, again] = api.jobs.submitted.map((submitted) => ({
    hashes: blobsOf(submitted.job).map(({ hash }) => hash),
    input: inputOfParts(submitted.job),
  }))
  expect(first?.hashes).toHaveLength(2)
  expect(again).toEqual(first)
})

describe('a job without an image', () => {
  test.each<[string, (api: TestApi) => Promise<Response>]>([
    ['is accepted as JSON', async (api) => postJson(api, { input: { question } })],
    [
      'is accepted as a form',
      async (api) => {
        const form = new FormData()
        form.append('question', question)
        return fetch(`${api.url}/jobs`, { method: 'POST', body: form })
      },
    ],
    [
      'is accepted as a form without files',
      async (api) => fetch(`${api.url}/jobs`, { method: 'POST', body: new URLSearchParams({ question }) }),
    ],
  ])('%s, if its model takes none', async (_, post) => {
    const api = await startTaking(0, 0)
    expect((await post(api)).status).toBe(202)
    expect(api.jobs.submitted.map(({ job, blobs }) => [blobsOf(job), blobs.size])).toEqual([[[], 0]])
  })

  test('is all that such a model takes', async () => {
    const api = await startTaking(0, 0)
    const problem = await problemOf(await postJson(api, { input: { image: png.toString('base64'), question } }))
    expect(problem).toMatchObject({ status: 422, code: 'invalid_input' })
    expect(problem.errors).toEqual([{ field: 'input.image', expected: 'no image (there is 1)' }])
  })
})

describe('GET /models and the OpenAPI document tell how many a model takes', () => {
  test.each([
    [0, 0, [], []],
    [1, 1, ['image'], ['image']],
    [1, 3, ['image', 'images'], []],
    [2, 2, ['images'], ['images']],
  ])('%i to %i', async (min, max, fields, required) => {
    const api = await startTaking(min, max)
    const model = Object(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
    expect(model.images).toEqual({ min, max })
    const ofImages = (names: string[]): string[] => names.filter((name) => name.startsWith('image'))
    expect(ofImages(Object.keys(model.input.properties))).toEqual(fields)
    expect(ofImages(model.input.required)).toEqual(required)
    const document = Object(await (await fetch(`${api.url}/openapi.json`)).json())
    const { examples } = document.paths['/jobs'].post.requestBody.content['application/json']
    expect((await postJson(api, examples['shapes-vqa'].value)).status).toBe(202)
  })
})
