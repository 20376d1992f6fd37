import { describe, expect, test } from 'vitest'

import { inputOfParts, partsOfInput } from './parts.ts'
import { queuedJobSchema, readQueuedJob } from './queued-job.ts'

/** As release 0.1 has queued it. */
const recorded = {
  version: 1,
  id: 'job_V1StGXR8_Z5jdHi6B-myT',
  model: 'shapes-vqa',
  modelVersion: '1',
  versionPinned: false,
  image: {
    hash: '3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea',
    name: '0cc175b9c0f1b6a831c399e269772661d4735e3a265e16eee03f59718b9b5d03',
    bytes: 4711,
    type: 'image/jpeg',
    uploaded: true,
  },
  input: { question: 'How many shapes are there?', candidate_labels: ['a', 'b'] },
  parameters: { top_k: 3 },
  metadata: { order: '7' },
  createdAt: 1764120000000,
  deadlineAt: null,
  owner: 'abcdefABC123',
  answersOf: 'abcdefABC123',
}

describe('a job of shape 1', () => {
  test('is read as shape 2, and knows where its image was', () => {
    const job = queuedJobSchema.parse(recorded)
    const { image, input, version: _version, ...rest } = recorded
    const { name, uploaded, ...blob } = image
    expect(job).toEqual({
      ...rest,
      version: 2,
      parts: [
        { kind: 'blob', name: 'image', ...blob, old: { name, uploaded } },
        { kind: 'text', name: 'question', text: input.question },
      ],
      input: { candidate_labels: ['a', 'b'] },
      cache: false,
      replyTo: null,
      priority: 'normal',
      retryOf: null,
    })
    expect(inputOfParts(job)).toEqual(input)
    // As it is written again.
    expect(queuedJobSchema.parse(JSON.parse(JSON.stringify(job)))).toEqual(job)
  })

  test('of the first release, without name and owner, too', () => {
    const { owner: _owner, answersOf: _answersOf, ...first } = recorded
    const { name: _name, uploaded: _uploaded, ...image } = recorded.image
    const job = queuedJobSchema.parse({ ...first, image })
    expect(job).toMatchObject({ owner: null, parts: [{ old: { name: image.hash, uploaded: false } }, {}] })
  })
})

test('a job of a later shape is not read', () => {
  expect(queuedJobSchema.safeParse({ ...queuedJobSchema.parse(recorded), version: 3 }).success).toBe(false)
})

test.each([
  {},
  { question: 'q' },
  { question: '', candidate_labels: ['a'], n: 3, nothing: null, nested: { text: 't' } },
  JSON.parse('{"__proto__": "text", "constructor": 1}'),
])('inputs go into parts and come back as they were: %j', (input: Record<string, never>) => {
  const apart = partsOfInput(input)
  expect(inputOfParts(apart)).toEqual(input)
  expect(Object.values(apart.input).filter((value) => typeof value === 'string')).toEqual([])
})

describe('what was queued', () => {
  const job = queuedJobSchema.parse(recorded)

  test('is read as the schema reads it, in every shape', () => {
    expect(readQueuedJob(job)).toEqual(job)
    expect(readQueuedJob(recorded)).toEqual(job)
    const { cache: _cache, replyTo: _replyTo, priority: _priority, ...without } = job
    expect(readQueuedJob(without)).toEqual(queuedJobSchema.parse(without))
  })

  test.each([
    ['of a later release', { version: 3 }],
    ['without parts', { parts: undefined }],
    ['with a part of an unknown kind', { parts: [{ kind: 'sound', name: 'sound' }] }],
    ['with a blob that has no hash', { parts: [{ kind: 'blob', name: 'image', bytes: 1 }] }],
    ['whose times are texts', { createdAt: 'now' }],
    ['of nobody known', { owner: 7 }],
  ])('%s is not understood', (_, changes) => {
    expect(readQueuedJob({ ...job, ...changes })).toBeNull()
  })

  test.each([null, 'job', [], 1, undefined])('%j is no job', (value) => {
    expect(readQueuedJob(value)).toBeNull()
  })
})
