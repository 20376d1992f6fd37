import { jobIdSchema, jobResponseSchema, VisionQueueError } from '@vision-queue/protocol'
import { inputOfParts } from '@vision-queue/queue'
import { describe, expect, test } from 'vitest'

import { png, pngHeader } from '../../test-support/images.ts'
import { servedModel } from '../../test-support/served-models.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

const image = png.toString('base64')
const body = { model: 'shapes-vqa', input: { image, question: 'What colour?' } }

/** The id of the only job that was submitted, once it was. */
async function submittedId(api: TestApi): Promise<string> {
  await expect.poll(() => api.jobs.submitted.length).toBe(1)
  return api.jobs.submitted[0]?.job.id ?? ''
}

describe('an accepted job', () => {
  test('is answered 202 with its place, its position and its addresses', async () => {
    const api = await startApi()
    await postJson(api, body)
    const response = await postJson(api, body)
    expect(response.status).toBe(202)
    const job = jobResponseSchema.parse(await response.json())
    expect(job).toMatchObject({ status: 'queued', model: 'shapes-vqa', version: '1', queue_position: 1, output: null })
    expect(jobIdSchema.safeParse(job.id).success).toBe(true)
    expect(job.urls).toEqual({
      self: `/jobs/${job.id}`,
      events: `/jobs/${job.id}/events`,
      cancel: `/jobs/${job.id}/cancel`,
    })
    expect(response.headers.get('location')).toBe(job.urls.self)
    expect(response.headers.get('preference-applied')).toBeNull()
  })

  test('is in the queue as it was sent, its image beside it', async () => {
    const api = await startApi()
    const sent = {
      ...body,
      model: 'shapes-vqa@1',
      parameters: { top_k: 2 },
      metadata: { order: '42' },
      deadline_ms: 5000,
    }
    await postJson(api, sent)
    const [submitted] = api.jobs.submitted
    expect(submitted?.job).toMatchObject({
      version: 2,
      model: 'shapes-vqa',
      modelVersion: '1',
      versionPinned: true,
      parts: [
        { kind: 'blob', name: 'image', bytes: png.length, type: 'image/png' },
        { kind: 'text', name: 'question', text: 'What colour?' },
      ],
      input: {},
      parameters: { top_k: 2 },
      metadata: { order: '42' },
    })
    expect((submitted?.job.deadlineAt ?? 0) - (submitted?.job.createdAt ?? 0)).toBe(5000)
    expect(Buffer.from(submitted?.image ?? [])).toEqual(png)
  })

  test('is the same by form and by image body', async () => {
    const api = await startApi()
    const form = new FormData()
    form.set('image', new Blob([png], { type: 'image/png' }), 'a.png')
    form.set('question', 'What colour?')
    form.set('page', '3')
    const responses = [
      await fetch(`${api.url}/jobs`, { method: 'POST', body: form }),
      await fetch(`${api.url}/jobs?question=What%20colour%3F&page=3`, {
        method: 'POST',
        headers: { 'Content-Type': 'image/png' },
        body: png,
      }),
      await postJson(api, { input: { ...body.input, page: 3 } }),
    ]
    expect(responses.map(({ status }) => status)).toEqual([202, 202, 202])
    const jobs = api.jobs.submitted.map(({ job }) => Object.assign(job, { id: '', createdAt: 0, context: undefined }))
    expect(jobs[0]?.model).toBe('shapes-vqa')
    expect(inputOfParts(jobs[0] ?? { parts: [], input: {} })).toEqual({ question: 'What colour?', page: 3 })
    expect(jobs[1]).toEqual(jobs[0])
    expect(jobs[2]).toEqual(jobs[0])
  })

  test('waits where its model has no consumer now', async () => {
    const api = await startApi()
    api.models.models = [servedModel({}, 0)]
    expect((await postJson(api, body)).status).toBe(202)
  })
})

describe('Prefer: wait', () => {
  test('answers 200 with the final job as soon as it is final', async () => {
    const api = await startApi()
    const answering = postJson(api, body, { Prefer: 'wait=60' })
    api.jobs.finish(await submittedId(api))
    const response = await answering
    expect(response.status).toBe(200)
    expect(response.headers.get('preference-applied')).toBe('wait=60')
    expect(jobResponseSchema.parse(await response.json()).status).toBe('succeeded')
  })

  test('answers 202 with the job as it is when the time is over', async () => {
    const api = await startApi()
    const answering = postJson(api, body, { Prefer: 'wait=1' })
    api.jobs.run(await submittedId(api))
    const response = await answering
    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toMatch(/^\/jobs\/job_/)
    expect(jobResponseSchema.parse(await response.json()).status).toBe('running')
  })

  test('answers 202 with the job as it is when the server closes', async () => {
    const api = await startApi()
    const answering = postJson(api, body, { Prefer: 'wait=60' })
    await submittedId(api)
    api.startClosing()
    expect((await answering).status).toBe(202)
  })

  test('answers 202 when Redis goes away after the job was accepted', async () => {
    const api = await startApi()
    const submit = api.jobs.submit.bind(api.jobs)
    api.jobs.submit = async (...job) => {
      const accepted = await submit(...job)
      api.jobs.down = true
      return accepted
    }
    expect((await postJson(api, body, { Prefer: 'wait=60' })).status).toBe(202)
  })

  test('ends with a client that goes away', async () => {
    const api = await startApi()
    const client = new AbortController()
    const answering = fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Prefer: 'wait=60' },
      body: JSON.stringify(body),
      signal: client.signal,
    })
    await submittedId(api)
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    client.abort()
    await expect(answering).rejects.toThrow('aborted')
    await expect.poll(() => api.jobs.openWatches()).toBe(0)
  })
})

describe('a refused submission', () => {
  test.each<[string, unknown, number, string, string]>([
    ['malformed JSON', '{"input":', 400, 'invalid_request', ''],
    ['an unknown field', { ...body, webhook: { url: 'x' } }, 400, 'invalid_request', 'webhook'],
    ['a wrong type', { ...body, deadline_ms: 'soon' }, 400, 'invalid_request', 'deadline_ms'],
    [
      'an address as image',
      { input: { ...body.input, image: 'https://a.b/c.jpg' } },
      400,
      'invalid_request',
      'input.image',
    ],
    ['broken base64', { input: { ...body.input, image: 'not base64!' } }, 400, 'invalid_request', 'input.image'],
    ['an unknown model', { ...body, model: 'cat-vqa' }, 404, 'model_not_found', ''],
    ['an image over the limit', { input: { ...body.input, image: 'A'.repeat(4096) } }, 413, 'payload_too_large', ''],
    ['bytes that are no image', { input: { ...body.input, image: 'R0lGODlh' } }, 415, 'unsupported_media_type', ''],
    ['a missing input', { input: { image } }, 422, 'invalid_input', 'input.question'],
    ['an unknown parameter', { ...body, parameters: { beams: 3 } }, 422, 'invalid_input', 'parameters.beams'],
    [
      'too many pixels',
      { input: { ...body.input, image: pngHeader(10_000, 10_000).toString('base64') } },
      422,
      'image_too_large',
      '',
    ],
    [
      'a broken header',
      { input: { ...body.input, image: png.subarray(0, 15).toString('base64') } },
      422,
      'image_undecodable',
      '',
    ],
  ])('%s', async (_, sent, status, code, field) => {
    const api = await startApi({ MAX_IMAGE_BYTES: '2048' })
    const response = await postJson(api, sent)
    const problem = await problemOf(response)
    expect([response.status, problem.code]).toEqual([status, code])
    expect((problem.errors ?? []).map((error) => error.field)).toEqual(field === '' ? [] : [field])
    expect(api.jobs.submitted).toEqual([])
    expect(await (await fetch(`${api.url}/metrics`)).text()).toContain(
      `vision_queue_jobs_refused_total{code="${code}"} 1`,
    )
  })

  test.each(['text/html', 'application/xml', 'video/mp4', 'multipart/mixed', 'application/jsonp', 'text/plain'])(
    'a body of type "%s" that holds no JSON is 415 and the answer lists what is taken',
    async (type) => {
      const api = await startApi()
      const sent = { method: 'POST', headers: { 'Content-Type': type }, body: 'What colour?' }
      const problem = await problemOf(await fetch(`${api.url}/jobs`, sent))
      expect(problem.code).toBe('unsupported_media_type')
      expect(problem.detail).toContain('application/json, multipart/form-data, image/jpeg, image/png, image/webp')
    },
  )

  test.each(['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'nonsense'])(
    'a body in the coding %s is 415 and the answer names what is taken',
    async (coding) => {
      const api = await startApi()
      const problem = await problemOf(await postJson(api, body, { 'Content-Encoding': coding }))
      expect([problem.status, problem.detail]).toEqual([415, expect.stringContaining('identity')])
    },
  )

  test.each([
    ['wait=5', 'wait', 'Prefer'],
    ['model=other', 'model', 'in the body'],
    ['image=AAAA', 'image', 'in the body'],
    ['question=What', 'question', 'in the body'],
    ['top_k=3', 'top_k', 'in the body'],
  ])('?%s beside a JSON body is refused: it would have changed the answer', async (query, field, expected) => {
    const api = await startApi()
    const sent = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    const problem = await problemOf(await fetch(`${api.url}/jobs?${query}`, sent))
    expect(problem.errors).toEqual([{ field, expected: expect.stringContaining(expected) }])
  })

  test('a full queue is 429 with Retry-After in whole seconds', async () => {
    const api = await startApi()
    api.jobs.refusal = new VisionQueueError('queue_full', '1000 jobs wait.', { retryAfterMs: 2600 })
    const response = await postJson(api, body)
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '3'])
    expect(await problemOf(response)).toMatchObject({ code: 'queue_full', retry_after_ms: 2600 })
  })

  test.each(['models', 'jobs'] as const)('Redis away (%s) is 503 with Retry-After', async (part) => {
    const api = await startApi()
    api[part].down = true
    const response = await postJson(api, body)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect((await problemOf(response)).code).toBe('queue_unavailable')
  })

  test('no model named and several known is 400 and lists them', async () => {
    const api = await startApi()
    api.models.models = [servedModel({ name: 'a' }), servedModel({ name: 'b' })]
    const problem = await problemOf(await postJson(api, { input: body.input }))
    expect([problem.code, problem.errors?.[0]?.field]).toEqual(['invalid_request', 'model'])
    expect(problem.detail).toContain('a, b')
  })
})
