import { describe, expect, test } from 'vitest'

import { servedModel } from '../test-support/served-models.ts'
import { png } from '../test-support/images.ts'
import { postJson, startApi, type TestApi } from '../test-support/start-api.ts'

const parametersSchema = {
  type: 'object',
  properties: {
    temperature: { type: 'number', default: 0.7 },
    seed: { type: 'integer', 'x-drawn-unless': { temperature: 0 } },
  },
  additionalProperties: false,
}

async function submitTo(api: TestApi, parameters: object) {
  const image = png.toString('base64')
  expect((await postJson(api, { input: { image, question: 'what?' }, parameters })).status).toBe(202)
  const submitted = api.jobs.submitted.at(-1)
  if (submitted === undefined) throw new Error('nothing was submitted')
  return { parameters: submitted.job.parameters, cache: submitted.job.cache }
}

describe('a job whose answer is drawn by lot', () => {
  async function start(): Promise<TestApi> {
    const api = await startApi()
    api.models.models = [servedModel({ parametersSchema, cacheable: true })]
    return api
  }

  test('and that names no seed gets one of its own, and shares its answer with nobody', async () => {
    const api = await start()
    const [one, two] = [await submitTo(api, {}), await submitTo(api, {})]
    for (const job of [one, two]) {
      expect(job.parameters).toEqual({ seed: expect.any(Number) })
      expect(job.cache).toBe(false)
    }
    expect(one.parameters).not.toEqual(two.parameters)
  })
  test('and that names a seed asks what everybody may ask again', async () => {
    const job = await submitTo(await start(), { seed: 7 })
    expect(job).toMatchObject({ parameters: { seed: 7 }, cache: true })
  })
  test('is none where the parameters leave nothing to the lot', async () => {
    const job = await submitTo(await start(), { temperature: 0 })
    expect(job).toMatchObject({ parameters: { temperature: 0 }, cache: true })
  })
})
