import { expect, test } from 'vitest'

import { groupByName } from '../../intake/model-choice.ts'
import { createOpenApi } from './openapi.ts'
import { servedModel } from '../../test-support/served-models.ts'
import { postJson, startApi } from '../../test-support/start-api.ts'

const models = groupByName([servedModel(), servedModel({ name: 'tiny-clip' })])

/** Every object in a JSON value, with where it is. */
function* objects(value: unknown, at = '#'): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return
  yield [at, { ...value }]
  for (const [key, inner] of Object.entries(value)) yield* objects(inner, `${at}/${key}`)
}

test('every reference resolves, and nothing is left of the generator', () => {
  const known = new Map(objects(createOpenApi(models)))
  const references = [...known].flatMap(([at, object]) =>
    '$ref' in object ? [[at, String(object['$ref'])] as const] : [],
  )
  expect(references.length).toBeGreaterThan(10)
  expect(references.filter(([, to]) => !known.has(to))).toEqual([])
  expect([...known].filter(([, object]) => '$schema' in object || '$defs' in object)).toEqual([])
})

test('every route is documented, and every documented route is there', async () => {
  const api = await startApi()
  const routes = api.app.routes
    .filter(({ method, path }) => method !== 'ALL' && path !== '/docs/:file')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  const { paths } = createOpenApi(models)
  const documented = Object.entries(Object(paths)).flatMap(([path, operations]) =>
    Object.keys(Object(operations)).map((method) => `${method.toUpperCase()} ${path}`),
  )
  // A route is there once for each of its handlers.
  expect(documented.toSorted()).toEqual([...new Set(routes)].toSorted())
})

test('what an operation asks for is a way in that the document describes', () => {
  const document = createOpenApi(models)
  const schemes = [...objects(document)].find(([at]) => at === '#/components/securitySchemes')?.[1] ?? {}
  const asked = [...objects(document)].flatMap(([at, entry]) => (/\/security\/\d+$/.test(at) ? Object.keys(entry) : []))
  expect(asked.length).toBeGreaterThan(0)
  expect(asked.filter((name) => !Object.hasOwn(schemes, name))).toEqual([])
})

test('operations have names of their own, and their path parameters are described', () => {
  const operations = [...objects(createOpenApi(models))].filter(([, object]) => 'operationId' in object)
  const ids = operations.map(([, { operationId }]) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
  for (const [at, operation] of operations) {
    const inPath = [...at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const described = [...objects(operation['parameters'])].flatMap(([, { in: where, name }]) =>
      where === 'path' ? [name] : [],
    )
    expect([at, described]).toEqual([at, inPath])
  }
})

// That no route answers with a code beside these is held by every test that starts the API, see expectDocumentedProblems.
test('is what is written down: fields, codes and schemas, without models', async () => {
  const document = JSON.stringify(createOpenApi([]), null, 2)
  await expect(`${document}\n`).toMatchFileSnapshot('openapi.snapshot.txt')
})

test('each model adds its schemas and an example that is accepted as it is', async () => {
  const api = await startApi()
  const document: unknown = await (await fetch(`${api.url}/openapi.json`)).json()
  expect(document).toMatchObject({
    openapi: '3.1.0',
    components: { schemas: { 'shapes-vqa.input': { required: ['image', 'question'] }, 'shapes-vqa.output': {} } },
  })
  const example = [...objects(document)].find(([at]) => at.endsWith('/examples/shapes-vqa/value'))?.[1]
  expect((await postJson(api, example)).status).toBe(202)
})

test('without Redis the document is there, without models', async () => {
  const api = await startApi()
  api.models.down = true
  const response = await fetch(`${api.url}/openapi.json`)
  expect([response.status, (await response.text()).includes('shapes-vqa.input')]).toEqual([200, false])
})

test('forms and queries are described with every field of a submission, which JSON may leave null', () => {
  const all = new Map(objects(createOpenApi(models)))
  const fields = Object.keys(all.get('#/components/schemas/Submission/properties') ?? {})
  const besides = fields.filter((field) => field !== 'input')
  for (const type of ['multipart/form-data', 'application/x-www-form-urlencoded']) {
    const form = all.get(`#/paths//jobs/post/requestBody/content/${type}/schema/properties`) ?? {}
    expect(Object.keys(form).toSorted()).toEqual(['image', 'images', ...besides].toSorted())
  }
  const queried = [...objects(all.get('#/paths//jobs/post/parameters'))].flatMap(([, { in: where, name }]) =>
    where === 'query' ? [String(name)] : [],
  )
  expect(queried.toSorted()).toEqual(besides.toSorted())
  for (const field of besides) {
    expect(JSON.stringify(all.get(`#/components/schemas/Submission/properties/${field}`))).toContain('"null"')
  }
})
