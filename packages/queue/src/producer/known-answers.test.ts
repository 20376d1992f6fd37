import { answerKey } from '../keys.ts'
import { cachedAnswerSchema } from '../cached-answer.ts'
import type { QueuedJob } from '../queued-job.ts'
import { describe, expect, test } from 'vitest'

import { answerDigest } from '../answer-digest.ts'
import { blobPart, blobs, image, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
const manifest = { version: '1', variant: 'int8', fingerprint: 'f' }

function asked(question: string): { job: QueuedJob; digest: string } {
  const parts: QueuedJob['parts'] = [blobPart(image), { kind: 'text', name: 'question', text: question }]
  const job = { ...newJob(), cache: true, parts }
  return { job, digest: answerDigest(manifest, job) }
}

async function answer({ job, digest }: ReturnType<typeof asked>): Promise<void> {
  await queue.client.submit(job, blobs, { digest })
  await queue.resultStore().finish(job, { ...succeeded(job, 'red'), variant: 'int8' }, digest)
}

describe('a question that was answered', () => {
  test('is answered at once, without a place in the queue, and can be read under its own id', async () => {
    await answer(asked('what?'))
    const { job, digest } = asked('what?')
    const accepted = await queue.client.submit(job, blobs, { digest })
    expect(accepted).toMatchObject({
      queuePosition: null,
      answeredFrom: 'redis',
      job: { id: job.id, status: 'succeeded', cached: true, output: { answer: 'red' }, variant: 'int8' },
    })
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    expect(await queue.client.read(job.id)).toEqual(accepted.job)
    const again = asked('what?')
    expect(await queue.client.submitAndWait(again.job, blobs, { digest, timeoutMs: 1000 })).toMatchObject({
      answeredFrom: 'memory',
      job: { id: again.job.id, status: 'succeeded', cached: true },
    })
  })

  test('is computed for whoever does not want an old answer, and for another question', async () => {
    await answer(asked('what?'))
    const fresh = asked('what?')
    expect((await queue.client.submit(fresh.job, blobs)).job.status).toBe('queued')
    const other = asked('What?')
    expect((await queue.client.submit(other.job, blobs, { digest: other.digest })).job.status).toBe('queued')
  })

  test('is computed again when the answer has expired, in Redis and in memory', async () => {
    await answer(asked('what?'))
    const { job, digest } = asked('what?')
    await queue.client.submit(job, blobs, { digest })
    const key = answerKey('m', digest)
    const kept = cachedAnswerSchema.parse(JSON.parse((await queue.redis.get(key)) ?? 'null'))
    await queue.redis.unlink(key)
    const elsewhere = await queue.connect()
    expect((await elsewhere.submit(asked('what?').job, blobs, { digest })).job.status).toBe('queued')
    // In a memory it lives no longer than in Redis.
    await queue.redis.set(key, JSON.stringify({ ...kept, expiresAt: Date.now() + 50 }))
    const third = await queue.connect()
    expect((await third.submit(asked('what?').job, blobs, { digest })).answeredFrom).toBe('redis')
    await queue.redis.unlink(key)
    await expect
      .poll(async () => (await third.submit(asked('what?').job, blobs, { digest })).answeredFrom, { timeout: 5000 })
      .toBe(null)
  })
})

describe('the digest of what a job asks', () => {
  test('is the same whatever the order of keys, and another for any difference', () => {
    const job = { ...newJob(), input: { a: 1, b: { c: [1, { d: 2, e: 3 }] } }, parameters: { top_k: 3 } }
    const same = { ...newJob(), input: { b: { c: [1, { e: 3, d: 2 }] }, a: 1 }, parameters: { top_k: 3 } }
    expect(answerDigest(manifest, same)).toBe(answerDigest(manifest, job))
    const others = [
      answerDigest({ ...manifest, version: '2' }, job),
      answerDigest({ ...manifest, variant: 'fp32' }, job),
      answerDigest({ ...manifest, fingerprint: 'g' }, job),
      answerDigest(manifest, { ...job, parameters: {} }),
      answerDigest(manifest, { ...job, input: { ...job.input, a: 2 } }),
      answerDigest(manifest, { ...job, parts: [blobPart(Buffer.from('another'))] }),
    ]
    expect(new Set([answerDigest(manifest, job), ...others]).size).toBe(others.length + 1)
  })
})
