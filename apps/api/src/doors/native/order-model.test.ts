import { expect, test } from 'vitest'

import { servedModel } from '../../test-support/served-models.ts'
import { problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

const key = 'sesame-open'

async function order(api: TestApi, path: string, body?: unknown, authorization = `Bearer ${key}`): Promise<Response> {
  return fetch(`${api.url}/models/${path}`, {
    method: 'POST',
    headers: authorization === '' ? {} : { authorization },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

test('without ADMIN_KEY it is 403 and says how to enable it, whatever key is sent', async () => {
  const api = await startApi()
  for (const authorization of ['', 'Bearer ', `Bearer ${key}`]) {
    const problem = await problemOf(await order(api, 'shapes-vqa/unload', undefined, authorization))
    expect([problem.status, problem.code]).toEqual([403, 'forbidden'])
    expect(problem.detail).toContain('ADMIN_KEY')
  }
  expect(api.models.orders).toEqual([])
})

test.each(['', 'Bearer sesame', `Bearer ${key}s`, `Basic ${key}`, key])('the key %j is 401', async (authorization) => {
  const api = await startApi({ ADMIN_KEY: key })
  const problem = await problemOf(await order(api, 'shapes-vqa/unload', undefined, authorization))
  expect([problem.status, problem.code]).toEqual([401, 'unauthorized'])
  expect(problem.detail).not.toContain(key)
  expect(api.models.orders).toEqual([])
})

test('an order for all versions, for one, or for an alias is left for the consumers', async () => {
  const api = await startApi({ ADMIN_KEY: key })
  api.models.models = [{ ...servedModel(), aliases: ['stable'] }]
  const response = await order(api, 'shapes-vqa/reload')
  expect([response.status, await response.json()]).toEqual([
    202,
    { model: 'shapes-vqa', version: null, action: 'reload', forgotten: [], urls: { model: '/models/shapes-vqa' } },
  ])
  await order(api, 'shapes-vqa/load', { version: '1' })
  await order(api, 'shapes-vqa/unload', { version: 'stable' })
  expect(api.models.orders).toEqual([
    { name: 'shapes-vqa', version: null, action: 'reload' },
    { name: 'shapes-vqa', version: '1', action: 'load' },
    { name: 'shapes-vqa', version: '1', action: 'unload' },
  ])
  expect(api.models.forgotten).toEqual([])
})

test.each([
  ['cats/load', undefined, 404, 'model_not_found'],
  ['shapes-vqa/load', { version: '7' }, 404, 'model_not_found'],
  ['shapes-vqa/load', { versions: ['1'] }, 400, 'invalid_request'],
  ['shapes-vqa/load', { version: 1 }, 400, 'invalid_request'],
])('%s with %j is %d', async (path, body, status, code) => {
  const api = await startApi({ ADMIN_KEY: key })
  const problem = await problemOf(await order(api, path, body))
  expect([problem.status, problem.code]).toEqual([status, code])
  expect(api.models.orders).toEqual([])
})

test('unloading what no live consumer has takes it out of the list', async () => {
  const api = await startApi({ ADMIN_KEY: key })
  api.models.models = [servedModel({ version: '1' }, 0), servedModel({ version: '2' }, 1)]
  expect(await (await order(api, 'shapes-vqa/unload')).json()).toMatchObject({ forgotten: ['1'] })
  expect(api.models.forgotten).toEqual(['shapes-vqa@1'])
})
