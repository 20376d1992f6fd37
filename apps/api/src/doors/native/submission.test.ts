import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import type { Question, SubmittedImage } from '../../intake/submission.ts'
import { png } from '../../test-support/images.ts'
import { onlyImage, parseFormSubmission } from './form.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartForm } from './multipart.ts'
import { parseRawSubmission } from './raw.ts'
import { parseUrlencoded } from './urlencoded.ts'

const limits = { maxImageBytes: 1_000_000, maxInputBytes: 2000, fetchesImages: false }

async function multipart(form: FormData): Promise<Question> {
  const encoded = new Response(form)
  const body = Buffer.from(await encoded.arrayBuffer())
  return parseFormSubmission(parseMultipartForm(body, encoded.headers.get('content-type') ?? ''), limits)
}

function json(body: unknown): ReturnType<typeof parseJsonSubmission> {
  return parseJsonSubmission(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), limits)
}

async function errorOf(work: () => unknown): Promise<VisionQueueError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof VisionQueueError) return error
    throw error
  }
  throw new Error('it was accepted')
}

const bytesOf = (image: SubmittedImage): Buffer | null => (image.kind === 'bytes' ? Buffer.from(image.bytes) : null)
const image = png.toString('base64')
const submission = {
  model: 'shapes-vqa@1',
  input: { question: 'What colour?' },
  parameters: { top_k: 3 },
  metadata: { order: '42' },
  deadlineMs: 60_000,
  cache: false,
  priority: 'high',
  images: [png],
  strayNames: [],
  retryOf: null,
}

test('every content type gives the same submission', async () => {
  const { input, parameters, metadata, model } = submission
  const fromJson = json({
    model,
    input: { ...input, image },
    parameters,
    metadata,
    deadline_ms: 60_000,
    cache: false,
    priority: 'high',
  })
  const form = new FormData()
  form.set('image', new Blob([png], { type: 'image/png' }), 'cat.png')
  form.set('model', model)
  form.set('question', input.question)
  form.set('parameters', JSON.stringify(parameters))
  form.set('metadata', JSON.stringify(metadata))
  form.set('deadline_ms', '60000')
  form.set('cache', 'false')
  form.set('priority', 'high')
  const fromForm = await multipart(form)
  const query = {
    model: [model],
    question: [input.question],
    parameters: [JSON.stringify(parameters)],
    metadata: [JSON.stringify(metadata)],
    deadline_ms: ['60000'],
    cache: ['false'],
    priority: ['high'],
  }
  const fromRaw = parseRawSubmission(png, query, limits)
  for (const { inputForm: _, dropsUnknownInput: _drops, images, ...parsed } of [fromJson, fromForm, fromRaw]) {
    expect({ ...parsed, images: images.map(bytesOf) }).toEqual(submission)
  }
})

test('what is left out is null or empty, in every content type', async () => {
  const form = new FormData()
  form.set('image', new Blob([png]), 'cat.png')
  const all = [json({ input: { image } }), await multipart(form), parseRawSubmission(png, {}, limits)]
  for (const parsed of all) {
    expect(parsed).toMatchObject({
      model: null,
      input: {},
      parameters: {},
      metadata: null,
      deadlineMs: null,
      cache: true,
    })
  }
})

test('a repeated form field is a list', async () => {
  const form = new FormData()
  form.set('image', new Blob([png]), 'cat.png')
  form.append('candidate_labels', 'cat')
  form.append('candidate_labels', 'dog')
  expect((await multipart(form)).input).toEqual({ candidate_labels: ['cat', 'dog'] })
})

describe('several images come in order', () => {
  const other = Buffer.concat([png, png])
  test('as a list in JSON', () => {
    const { images, input } = json({ input: { images: [other.toString('base64'), image], question: '?' } })
    expect([images.map(bytesOf), input]).toEqual([[other, png], { question: '?' }])
  })

  test.each([
    ['image', 'image'],
    ['images', 'images'],
    ['image[]', 'images[0]'],
  ])('as fields %s and %s of a form', async (first, second) => {
    const form = new FormData()
    form.append(first, new Blob([other]), 'a.png')
    form.append('question', '?')
    form.append(second, image)
    const { images, input } = await multipart(form)
    expect([images.map(bytesOf), input]).toEqual([[other, png], { question: '?' }])
  })

  test('as fields of a form without files', () => {
    const pair = (name: string, bytes: Buffer): string => `${name}=${encodeURIComponent(bytes.toString('base64'))}`
    const body = Buffer.from([pair('images', other), 'question=%3F', pair('image', png)].join('&'))
    expect(parseFormSubmission(parseUrlencoded(body), limits).images.map(bytesOf)).toEqual([other, png])
  })

  test('or not at all: how many it takes is the model to say', async () => {
    const form = new FormData()
    form.set('question', '?')
    form.set('image', new Blob([]), 'empty.png')
    for (const { images } of [json({ input: {} }), json({ input: { image: null } }), await multipart(form)]) {
      expect(images).toEqual([])
    }
  })
})

describe('JSON that is refused names the field and what was expected', () => {
  test.each([
    ['an unknown field', { input: { image }, webhook: {} }, 'webhook', 'no field of this name'],
    ['no input', {}, 'input', 'an object (missing)'],
    ['an image and images', { input: { image, images: [image] } }, 'input.images', 'left out beside "image"'],
    ['images that are no list', { input: { images: image } }, 'input.images', 'an array'],
    ['an empty image in a list', { input: { images: [image, ''] } }, 'input.images.1', 'the image as base64'],
    ['images that are none', { input: { images: [image, 'cat.jpg'] } }, 'input.images.1', 'base64'],
    ['a list as the image', { input: { image: [image] } }, 'input.image', 'the image as base64'],
    ['an empty image', { input: { image: '' } }, 'input.image', 'the image as base64'],
    ['an image of another type', { input: { image: 3 } }, 'input.image', 'the image as base64'],
    ['an address', { input: { image: 'https://example.com/a.jpg' } }, 'input.image', 'base64'],
    ['a model of another type', { input: { image }, model: 5 }, 'model', 'a string'],
    ['a deadline in the past', { input: { image }, deadline_ms: 0 }, 'deadline_ms', 'a number of at least 1'],
    ['a deadline of text', { input: { image }, deadline_ms: '5' }, 'deadline_ms', 'a number'],
    ['metadata that is no text', { input: { image }, metadata: { a: 1 } }, 'metadata.a', 'a string'],
    ['parameters of another type', { input: { image }, parameters: [] }, 'parameters', 'an object'],
    ['a list', [], '', 'an object'],
  ])('%s', async (_, body, field, expected) => {
    const error = await errorOf(() => json(body))
    expect(error.code).toBe('invalid_request')
    expect(error.fields).toEqual([{ field, expected: expect.stringContaining(expected) }])
    expect(error.detail).toContain(expected)
  })

  test.each([
    ['malformed', '{"input": {'],
    ['empty', ''],
    ['nested a thousand deep', `{"input":{"image":"AAAA","a":${'['.repeat(1000)}${']'.repeat(1000)}}}`],
  ])('%s', async (_, body) => {
    const error = await errorOf(() => json(body))
    expect(error.code).toBe('invalid_request')
    expect(error.detail).not.toMatch(/position|token|SyntaxError/i)
  })

  test('not UTF-8', async () => {
    const body = Buffer.from(`{"input":{"image":"${image}","question":"\u00e9"}}`, 'latin1')
    expect((await errorOf(() => parseJsonSubmission(body, limits))).code).toBe('invalid_request')
  })

  test('a million small values, without parsing them', async () => {
    const error = await errorOf(() => json(`{"parameters":{"a":[${'0,'.repeat(1_000_000)}0]}}`))
    expect(error.code).toBe('payload_too_large')
  })

  test('inputs beyond the limit of the queue', async () => {
    const error = await errorOf(() => json({ input: { image, question: 'x'.repeat(2000) } }))
    expect(error.code).toBe('payload_too_large')
  })
})

describe('a form that is refused names the field and what was expected', () => {
  test.each<[string, (form: FormData) => void, string]>([
    ['images as text that are none', (form) => form.append('images[1]', 'cat.jpg'), 'images[1]'],
    ['an image as text that is none', (form) => form.set('image', 'cat.jpg'), 'image'],
    ['another file', (form) => form.set('mask', new Blob([png]), 'mask.png'), 'mask'],
    ['parameters that are no JSON', (form) => form.set('parameters', '{'), 'parameters'],
    ['parameters that are no object', (form) => form.set('parameters', '3'), 'parameters'],
    ['metadata that is no JSON', (form) => form.set('metadata', 'a=b'), 'metadata'],
    ['a deadline that is no number', (form) => form.set('deadline_ms', 'soon'), 'deadline_ms'],
    ['two models', (form) => form.append('model', 'other'), 'model'],
  ])('%s', async (_, change, field) => {
    const form = new FormData()
    form.set('image', new Blob([png]), 'cat.png')
    form.set('model', 'shapes-vqa')
    change(form)
    const error = await errorOf(() => multipart(form))
    expect(error.code).toBe('invalid_request')
    expect(error.fields).toMatchObject([{ field }])
  })

  test.each([
    ['no boundary', 'multipart/form-data', 'x'],
    ['a body that is none', 'multipart/form-data; boundary=abc', 'hello'],
    [
      'a body that is cut',
      'multipart/form-data; boundary=abc',
      '--abc\r\nContent-Disposition: form-data; name="a"\r\n\r\nx',
    ],
  ])('%s', async (_, type, body) => {
    const error = await errorOf(() => parseMultipartForm(Buffer.from(body), type))
    expect(error.code).toBe('invalid_request')
  })

  test.each([
    [70, 'image'],
    [71, ''],
  ])('a boundary of %i characters, where 70 are allowed', async (length, field) => {
    const boundary = 'a'.repeat(length)
    const error = await errorOf(() =>
      onlyImage(parseMultipartForm(Buffer.from(`--${boundary}--`), `multipart/form-data; boundary=${boundary}`)),
    )
    expect(error.code).toBe('invalid_request')
    expect(error.fields[0]?.field ?? '').toBe(field)
  })

  test.each(['parameters', 'metadata', 'question'])('%s beyond the limit of the queue, unparsed', async (field) => {
    const form = new FormData()
    form.set('image', new Blob([png]), 'cat.png')
    // Were it parsed first, it would be refused as what it is: no JSON.
    form.set(field, '['.repeat(2001))
    const error = await errorOf(async () => multipart(form))
    expect(error.code).toBe('payload_too_large')
  })

  test('a thousand fields', async () => {
    const form = new FormData()
    for (let index = 0; index < 1000; index += 1) form.append('a', 'b')
    expect((await errorOf(() => multipart(form))).code).toBe('payload_too_large')
  })
})

describe('an image body that is refused', () => {
  test('empty', async () => {
    expect((await errorOf(() => parseRawSubmission(Buffer.alloc(0), {}, limits))).code).toBe('invalid_request')
  })
  test('with another image in the query', async () => {
    for (const field of ['image', 'images']) {
      const error = await errorOf(() => parseRawSubmission(png, { [field]: ['x'] }, limits))
      expect(error.fields).toMatchObject([{ field }])
    }
  })
})
