import { expect, test } from 'vitest'

import { answerDigest } from './answer-digest.ts'
import { jsonDigest } from './json-digest.ts'
import { blobsOf } from './parts.ts'
import { blobPart, newJob } from './test-support/test-queue.ts'

const model = { version: '1', variant: 'int8', fingerprint: 'f' }
const job = { ...newJob(), input: { question: 'q', labels: ['a', 'b'] } }

test('who may share answers and asks the same asks under one name, whatever the order of the words', () => {
  const turned = { ...job, id: newJob().id, input: { labels: ['a', 'b'], question: 'q' } }
  expect(answerDigest(model, turned)).toBe(answerDigest(model, job))
})

test('an answer never crosses from one key to another, nor to those without one', () => {
  const owners = [null, 'abcdefABC123', 'abcdefABC124', '', 'null']
  const names = owners.map((answersOf) => answerDigest(model, { ...job, answersOf }))
  expect(new Set(names).size).toBe(owners.length)
})

test('what a release kept whose answers were other ones is not found', () => {
  const { parts, input, parameters, answersOf } = job
  const [blob] = blobsOf({ parts })
  const { version, variant, fingerprint } = model
  const ofOlderRelease = jsonDigest([version, variant, fingerprint, blob?.hash ?? '', input, parameters, answersOf])
  expect(answerDigest(model, job)).not.toBe(ofOlderRelease)
})

test('another model, image, input or parameter is another question', () => {
  const names = [
    answerDigest(model, job),
    answerDigest({ ...model, version: '2' }, job),
    answerDigest({ ...model, variant: 'fp32' }, job),
    answerDigest({ ...model, fingerprint: 'g' }, job),
    answerDigest(model, { ...job, parts: [blobPart(Buffer.from('another'))] }),
    answerDigest(model, { ...job, input: { question: 'q', labels: ['b', 'a'] } }),
    answerDigest(model, { ...job, parameters: { top_k: 1 } }),
  ]
  expect(new Set(names).size).toBe(names.length)
})
