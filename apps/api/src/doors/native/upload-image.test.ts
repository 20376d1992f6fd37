import { createHash } from 'node:crypto'

import { imageResponseSchema, VisionQueueError } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import { describe, expect, test } from 'vitest'

import { jpegHeader, png, pngHeader } from '../../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

type Body = NonNullable<RequestInit['body']>

const hash = createHash('sha256').update(png).digest('hex')
const id = `img_${hash}`

function formOf(image: Blob | string, more: Record<string, string> = {}): FormData {
  const form = new FormData()
  if (typeof image === 'string') form.set('image', image)
  else form.set('image', image, 'cat.png')
  for (const [name, value] of Object.entries(more)) form.set(name, value)
  return form
}

const bodies = {
  raw: { headers: { 'Content-Type': 'image/png' }, body: png },
  multipart: { headers: {}, body: formOf(new Blob([png])) },
  json: { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ image: png.toString('base64') }) },
  'data URI': {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ image: `data:image/png;base64,${png.toString('base64')}` }),
  },
} satisfies Record<string, { headers: Record<string, string>; body: Body }>

async function upload(api: TestApi, { headers, body }: { headers: Record<string, string>; body: Body } = bodies.raw) {
  return fetch(`${api.url}/images`, { method: 'POST', headers, body })
}

/** The job on which a submission ended. */
function onlyJob(api: TestApi): { job: QueuedJob; image: Uint8Array | null } {
  const [submitted, ...more] = api.jobs.submitted
  if (submitted === undefined || more.length > 0) throw new Error(`${api.jobs.submitted.length} jobs`)
  return submitted
}

test.each(['/uploads', '/uploads/upl_x/complete'])(
  '%s is 404 without a store that takes uploads, and says where to send images',
  async (path) => {
    const api = await startApi()
    const response = await fetch(`${api.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ sha256: hash, bytes: png.length }),
    })
    expect(response.status).toBe(404)
    expect(await problemOf(response)).toMatchObject({
      code: 'not_found',
      detail: expect.stringContaining('POST /images'),
    })
  },
)

describe('an upload', () => {
  test.each(['raw', 'multipart', 'json', 'data URI'] as const)(
    'as %s is answered 201 with the same id',
    async (form) => {
      const api = await startApi()
      const response = await upload(api, bodies[form])
      expect([response.status, response.headers.get('location')]).toEqual([201, `/images/${id}`])
      const image = imageResponseSchema.parse(await response.json())
      expect(image).toMatchObject({ id, bytes: png.length, type: 'image/png', width: 1, height: 1 })
      expect(Buffer.from((await api.uploads.blobs.read({ space: null, hash })) ?? [])).toEqual(png)
      expect(await (await fetch(`${api.url}/images/${id}`)).json()).toEqual(image)
      expect((await fetch(`${api.url}/images/${id}`, { method: 'HEAD' })).status).toBe(200)
    },
  )

  test.each([
    [1, 40, 30],
    [4, 40, 30],
    [5, 30, 40],
    [6, 30, 40],
    [8, 30, 40],
  ])('of orientation %i has the size of the upright image: %i x %i', async (orientation, width, height) => {
    const api = await startApi()
    const exif = Buffer.from(
      'ffe10022457869660000 49492a0008000000 0100 120103000100000000000000 00000000'.replaceAll(' ', ''),
      'hex',
    )
    exif.writeUInt16LE(orientation, 28)
    const photo = Buffer.concat([Buffer.from('ffd8', 'hex'), exif, jpegHeader(40, 30).subarray(2)])
    const sent = await upload(api, { headers: { 'Content-Type': 'image/jpeg' }, body: photo })
    const image = imageResponseSchema.parse(await sent.json())
    expect(image).toMatchObject({ type: 'image/jpeg', width, height })
    expect(await (await fetch(`${api.url}/images/${image.id}`)).json()).toEqual(image)
  })

  test('of a type that is not taken is refused by the name of that type', async () => {
    const api = await startApi()
    const heic = Buffer.from('00000018667479706865696300000000686569636d696631', 'hex')
    const refused = await problemOf(await upload(api, { headers: { 'Content-Type': 'image/jpeg' }, body: heic }))
    expect(refused).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
      detail: expect.stringContaining('HEIC'),
    })
  })

  test('can be taken back, once', async () => {
    const api = await startApi()
    await upload(api)
    const remove = async (): Promise<Response> => fetch(`${api.url}/images/${id}`, { method: 'DELETE' })
    expect((await remove()).status).toBe(204)
    expect((await problemOf(await remove())).code).toBe('image_not_found')
    expect((await problemOf(await fetch(`${api.url}/images/${id}`))).code).toBe('image_not_found')
  })

  test('without room is answered 429 with the time until there is some', async () => {
    const api = await startApi()
    api.uploads.refusal = new VisionQueueError('uploads_full', 'Full.', { retryAfterMs: 2500 })
    const response = await upload(api)
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '3'])
    expect((await problemOf(response)).code).toBe('uploads_full')
  })

  test.each<[string, { headers: Record<string, string>; body: Body }, string]>([
    ['no image type', { headers: { 'Content-Type': 'text/plain' }, body: 'x' }, 'unsupported_media_type'],
    ['bytes that are none', { ...bodies.raw, body: 'GIF89a' }, 'unsupported_media_type'],
    ['nothing', { ...bodies.raw, body: '' }, 'invalid_request'],
    ['too many pixels', { ...bodies.raw, body: pngHeader(60_000, 60_000) }, 'image_too_large'],
    ['a broken header', { ...bodies.raw, body: png.subarray(0, 12) }, 'image_undecodable'],
    ['JSON with more fields', { ...bodies.json, body: '{"image":"AAAA","question":"?"}' }, 'invalid_request'],
    ['JSON without an image', { ...bodies.json, body: '{}' }, 'invalid_request'],
    ['the id of an image', { ...bodies.json, body: JSON.stringify({ image: id }) }, 'invalid_request'],
    ['a form with more fields', { headers: {}, body: formOf(new Blob([png]), { question: '?' }) }, 'invalid_request'],
    ['a form without a file', { headers: {}, body: formOf(id) }, 'invalid_request'],
  ])('of %s is refused', async (_, body, code) => {
    const api = await startApi()
    expect((await problemOf(await upload(api, body))).code).toBe(code)
    expect(await api.uploads.blobs.read({ space: null, hash })).toBeNull()
  })

  test('passes over a query: there is nothing to be asked', async () => {
    const api = await startApi()
    expect((await fetch(`${api.url}/images?utm_source=mail&_=1`, { method: 'POST', ...bodies.raw })).status).toBe(201)
  })
})

describe('a job on an uploaded image', () => {
  test.each<[string, (api: TestApi) => Promise<Response>]>([
    ['JSON', async (api) => postJson(api, { input: { image: id, question: '?' } })],
    ['a form', async (api) => fetch(`${api.url}/jobs`, { method: 'POST', body: formOf(id, { question: '?' }) })],
  ])('by %s brings no bytes and holds the image', async (_, submit) => {
    const api = await startApi()
    await upload(api)
    expect((await submit(api)).status).toBe(202)
    const { job, image } = onlyJob(api)
    expect(image).toBeNull()
    expect(job.parts[0]).toMatchObject({ kind: 'blob', hash, bytes: png.length, type: 'image/png' })
    expect(await api.uploads.blobs.find({ space: null, hash }, job.id)).not.toBeNull()
  })

  test('that is not there is 404 and told what to do', async () => {
    const api = await startApi()
    const problem = await problemOf(await postJson(api, { input: { image: id, question: '?' } }))
    expect(problem).toMatchObject({ status: 404, code: 'image_not_found', detail: expect.stringContaining('again') })
  })

  test.each(['img_', `img_${hash.toUpperCase()}`, `${id}0`, `img_${'g'.repeat(64)}`])('%s is no id', async (image) => {
    const api = await startApi()
    const byJson = await problemOf(await postJson(api, { input: { image, question: '?' } }))
    expect(byJson).toMatchObject({ code: 'invalid_request', errors: [{ field: 'input.image' }] })
    const byForm = await fetch(`${api.url}/jobs`, { method: 'POST', body: formOf(image, { question: '?' }) })
    expect(await problemOf(byForm)).toMatchObject({ code: 'invalid_request', errors: [{ field: 'image' }] })
    expect((await problemOf(await fetch(`${api.url}/images/${image}`))).status).toBe(404)
  })

  test('comes with the image or with its id, not both', async () => {
    const api = await startApi()
    await upload(api)
    const form = formOf(new Blob([png]), { question: '?' })
    form.append('image', id)
    const response = await fetch(`${api.url}/jobs`, { method: 'POST', body: form })
    expect((await problemOf(response)).errors).toMatchObject([{ field: 'input.image' }])
  })
})
