import { createHash } from 'node:crypto'

import { begunUploadSchema, imageResponseSchema, jobSchema } from '@vision-queue/protocol'
import { answerOf, final, forms, problem, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { type ObjectServer, startObjectServer } from '@vision-queue/test-support/object-server'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'

/** Of images that differ. */
const [first, second, third] = [
  ...new Map(readExamples().map((example) => [example.image.toString('hex'), example])).values(),
]
if (first === undefined || second === undefined || third === undefined) throw new Error('No three examples')
let server: ObjectServer
let system: System

beforeAll(async () => {
  server = await startObjectServer()
  const env = { BLOB_STORE: server.blobStore, ...server.env }
  system = await startSystem({ composition: 'apart', apis: 2, apiEnv: env, consumerEnv: env })
})
afterAll(async () => {
  await system.stop()
  await server.stop()
})
beforeEach(() => {
  server.trouble = null
  server.requests.length = 0
})

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const objectsOf = (bytes: Uint8Array): string[] =>
  [...server.objects.keys()].filter((name) => name.includes(sha256(bytes)))

test('an image is stored once outside of Redis, and its engine reads it by an address made for it', async () => {
  for (const { url } of system.apis) {
    const response = await forms.raw(url, first, { prefer: 'wait=30' })
    expect(answerOf(jobSchema.parse(await response.json()))).toBe(first.answer)
  }
  const reads = server.requests.filter(({ method }) => method === 'GET')
  expect(reads.length).toBeGreaterThan(0)
  expect(reads.every(({ signedAhead }) => signedAhead)).toBe(true)
  const [name = ''] = objectsOf(first.image)
  expect(server.objects.get(name)?.bytes).toEqual(first.image)
})

async function begin(bytes: Uint8Array): Promise<z.infer<typeof begunUploadSchema>> {
  const response = await fetch(`${system.url}/uploads`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sha256: sha256(bytes), bytes: bytes.length }),
  })
  expect(response.status).toBe(201)
  return begunUploadSchema.parse(await response.json())
}

async function send({ url, headers }: z.infer<typeof begunUploadSchema>, bytes: Uint8Array): Promise<number> {
  // As every client, fetch sets the length itself.
  const { 'content-length': _, ...rest } = headers
  return (await fetch(url, { method: 'PUT', headers: rest, body: Uint8Array.from(bytes) })).status
}

/** By the other API process. */
const complete = async ({ urls }: z.infer<typeof begunUploadSchema>): Promise<Response> =>
  fetch(`${system.apis[1]?.url}${urls.complete}`, { method: 'POST' })

test('an image that goes past the API is asked about as any other upload', async () => {
  const upload = await begin(second.image)
  const early = await complete(upload)
  expect(await problem(early)).toMatchObject({ status: 404, code: 'image_not_found' })
  expect(await send(upload, first.image)).toBe(403)
  expect(await send(upload, second.image)).toBe(200)
  const completed = await complete(upload)
  expect(completed.status).toBe(201)
  const image = imageResponseSchema.parse(await completed.json())
  expect(image).toMatchObject({ id: `img_${sha256(second.image)}`, type: second.type, bytes: second.image.length })
  const asked = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ model: 'shapes-vqa', input: { image: image.id, question: second.question } }),
  })
  expect(answerOf(jobSchema.parse(await asked.json()))).toBe(second.answer)
  expect((await complete(upload)).status).toBe(201)
  expect(objectsOf(second.image)).toHaveLength(1)
  const again = await begin(second.image)
  expect(await send(again, second.image)).toBe(200)
  expect((await complete(again)).status).toBe(201)
  expect(objectsOf(second.image)).toHaveLength(1)
})

test('what is no image is refused when it is completed, and removed', async () => {
  const text = Buffer.from('a,b,c\n1,2,3\n'.repeat(100))
  const upload = await begin(text)
  expect(await send(upload, text)).toBe(200)
  expect(await problem(await complete(upload))).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  expect(objectsOf(text)).toEqual([])
  expect(await problem(await complete({ ...upload, urls: { complete: '/uploads/upl_x/complete' } }))).toMatchObject({
    code: 'image_not_found',
  })
})

test('while the store is away submissions are refused and leave nothing, and jobs that wait are answered later', async () => {
  const waiting = { ...first, question: `${first.question} ` }
  for (const { signal } of system.consumers) signal('SIGSTOP')
  const id = await submit(system.url, waiting)
  server.trouble = 503
  for (const { signal } of system.consumers) signal('SIGCONT')
  const refused = await forms.raw(system.url, third)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(await problem(refused)).toMatchObject({ status: 503, code: 'queue_unavailable' })
  const ready = async (): Promise<unknown> => (await fetch(`${system.url}/health/ready`)).json()
  await until(
    async () => JSON.stringify(await ready()).includes('"missing":["blobs"]'),
    'readiness tells of it',
    () => '',
  )
  await until(
    () => server.requests.filter(({ name }) => name.includes(sha256(first.image))).length > 3,
    'the job was tried more than once',
  )
  server.trouble = null
  expect(answerOf(await final(system.url, id))).toBe(first.answer)
  await until(async () => JSON.stringify(await ready()).includes('"ready"'), 'it is ready again')
  await until(async () => {
    const figures = await Promise.all(system.apis.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()))
    return figures.some((text) => /^vision_queue_queue_jobs\{model="shapes-vqa"[^}]*\} 0$/m.test(text))
  }, 'the refused one has left nothing in the queue')
})
