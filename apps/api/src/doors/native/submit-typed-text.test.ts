import { describe, expect, test } from 'vitest'

import {
  asForm,
  asJson,
  asRaw,
  asUrlencoded,
  crlf,
  file,
  form,
  image,
  jobOf,
  multipart,
  plain,
  question,
  send,
  type Sent,
} from '../../test-support/client-bodies.ts'
import { png } from '../../test-support/images.ts'
import { startApi } from '../../test-support/start-api.ts'

describe('is typed by the model', () => {
  test.each<[string, Sent, object]>([
    [
      'labels between commas',
      asForm({ name: 'candidate_labels', content: 'a cat, a dog,bird' }),
      { input: { question, candidate_labels: ['a cat', 'a dog', 'bird'] } },
    ],
    [
      'one label',
      asForm({ name: 'candidate_labels', content: 'a cat' }),
      { input: { question, candidate_labels: ['a cat'] } },
    ],
    [
      'labels as JSON',
      asForm({ name: 'candidate_labels', content: '["a, b","c"]' }),
      { input: { question, candidate_labels: ['a, b', 'c'] } },
    ],
    [
      'labels by repetition, of which a comma is part',
      asForm({ name: 'candidate_labels', content: 'a, b' }, { name: 'candidate_labels', content: 'c' }),
      { input: { question, candidate_labels: ['a, b', 'c'] } },
    ],
    [
      'labels in brackets',
      asForm({ name: 'candidate_labels[]', content: 'a, b' }),
      { input: { question, candidate_labels: ['a, b'] } },
    ],
    [
      'labels by their places',
      asForm({ name: 'candidate_labels[0]', content: 'a' }, { name: 'candidate_labels[1]', content: 'b' }),
      { input: { question, candidate_labels: ['a', 'b'] } },
    ],
    [
      'labels in a query',
      asRaw('image/png', '?question=q&candidate_labels[]=a&candidate_labels[]=b&page=3'),
      { input: { question: 'q', candidate_labels: ['a', 'b'], page: 3 } },
    ],
    ['metadata with a null', asJson({ metadata: { a: 'b', c: null } }), { metadata: { a: 'b' } }],
    ['a number', asForm({ name: 'page', content: '3' }), { input: { question, page: 3 } }],
    [
      'a number as Python writes it',
      asForm({ name: 'page', content: '3.0' }, { name: 'deadline_ms', content: '5000.0' }),
      { input: { question, page: 3 }, deadlineMs: 5000 },
    ],
    [
      'line breaks after texts',
      asForm({ name: 'model', content: 'shapes-vqa\n' }, { name: 'priority', content: 'high\r\n' }),
      { priority: 'high' },
    ],
    [
      'parameters as a Blob',
      asForm({
        name: 'parameters',
        more: '; filename="blob"',
        headers: ['Content-Type: application/json'],
        content: '{"top_k":2}',
      }),
      { parameters: { top_k: 2 } },
    ],
    [
      'parameters as a part of its own type',
      asForm({ name: 'parameters', headers: ['Content-Type: application/json'], content: '{"top_k":2,"x":null}' }),
      { parameters: { top_k: 2 } },
    ],
    [
      'metadata as a file',
      asForm({
        name: 'metadata',
        more: '; filename="m.json"',
        headers: ['Content-Type: application/json'],
        content: '{"a":"b"}',
      }),
      { metadata: { a: 'b' } },
    ],
    [
      'an address-encoded form',
      asUrlencoded(
        `image=${encodeURIComponent(image)}&question=Gr%C3%B6%C3%9Fe+100%25%3F&candidate_labels=a%2C+b&parameters=%7B%22top_k%22%3A2%7D`,
      ),
      { input: { question: 'Größe 100%?', candidate_labels: ['a', 'b'] }, parameters: { top_k: 2 } },
    ],
    [
      'a text in Latin-1',
      {
        type: multipart,
        body: form([
          { name: 'question', headers: ['Content-Type: text/plain; charset=ISO-8859-1'], content: 'Gr\u00f6\u00dfe?' },
          file,
        ]),
      },
      { input: { question: 'Größe?' } },
    ],
  ])('%s', async (_, sent, expected) => {
    expect(await jobOf(sent)).toEqual({ ...plain, ...expected })
  })

  test.each([
    ['False', false],
    ['false', false],
    ['FALSE', false],
    ['0', false],
    ['off', false],
    ['no', false],
    ['True', true],
    ['true', true],
    ['1', true],
    ['on', true],
    ['Yes', true],
    ['', true],
  ])('cache=%s in a form and in a query', async (text, cache) => {
    const api = await startApi()
    api.models.models = api.models.models.map((model) => ({
      ...model,
      manifest: model.manifest === null ? null : { ...model.manifest, cacheable: true },
    }))
    await send(api, asForm({ name: 'cache', content: text }))
    await send(api, asRaw('image/png', `?question=q&cache=${text}`))
    expect(api.jobs.submitted.map(({ job }) => job.cache)).toEqual([cache, cache])
  })
})

describe('an upload goes through the same doors', () => {
  test.each<[string, Sent]>([
    ['as image/jpg', asRaw('image/jpg', '')],
    ['announced as nothing', asRaw(null, '')],
    ['in JSON with null', { type: 'text/plain', body: JSON.stringify({ image: `data:;base64,${image}`, name: null }) }],
    [
      'in a form without a filename',
      {
        type: multipart,
        body: form(
          [
            { ...file, more: '' },
            { name: 'note', content: '' },
          ],
          { before: crlf },
        ),
      },
    ],
    ['as text in a form', { type: multipart, body: form([{ name: 'image', content: image }]) }],
    ['in an address-encoded form', asUrlencoded(new URLSearchParams({ image }).toString())],
  ])('%s', async (_, sent) => {
    const api = await startApi()
    const response = await send(api, sent, '/images')
    expect([response.status, await response.json()]).toMatchObject([201, { bytes: png.length, type: 'image/png' }])
  })
})

test('an order takes null for a version that is not set', async () => {
  const api = await startApi({ ADMIN_KEY: 'sesame-open' })
  const headers = { authorization: 'Bearer sesame-open' }
  const response = await send(
    api,
    { type: 'application/json', body: '{"version":null}', headers },
    '/models/shapes-vqa/load',
  )
  expect([response.status, api.models.orders]).toMatchObject([202, [{ name: 'shapes-vqa', version: null }]])
})
