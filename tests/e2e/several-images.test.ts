import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import { answerDigest, type BlobPart, partsOfInput, type QueuedJob } from '@vision-queue/queue'
import { type JobClient, openJobClient } from '@vision-queue/queue/producer'
import { type Job, jobResponseSchema, problemSchema } from '@vision-queue/protocol'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { nanoid } from 'nanoid'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/*
 * Jobs with several images and with none, from the queue's client to an engine's answer and back: through quotas,
 * digests, the consumer, the pool and an engine program of the tests' own.
 */
let system: System
let client: JobClient
const quiet = { info() {}, warn() {}, error() {} }
const engineEntry = fileURLToPath(new URL('several-images/engine.ts', import.meta.url))
const [red, blue, grey] = [Buffer.alloc(100, 1), Buffer.alloc(50, 2), Buffer.alloc(20, 3)]

beforeAll(async () => {
  system = await startSystem({ engineEntry, consumerEnv: { ANSWER_TTL_MS: '600000' } })
  client = openJobClient({
    redisUrl: system.redis.url,
    commandTimeoutMs: 5000,
    maxJobs: 100,
    maxBytes: 1e6,
    payloadTtlMs: 60_000,
    answerMemoryBytes: 0,
    retention: {
      resultTtlMs: 60_000,
      failedResultTtlMs: 60_000,
      resultMaxBytes: 1e9,
      failedResultMaxBytes: 1e9,
      failedPayloadTtlMs: 60_000,
      failedPayloadMaxBytes: 1e6,
    },
    listLength: 100,
    orphanCheckMs: 10_000,
    log: quiet,
  })
  await vi.waitFor(async () => client.ping(), 10_000)
})
afterAll(async () => {
  await client.close()
  await system.stop()
})

function blobPart(bytes: Buffer): BlobPart {
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { kind: 'blob', name: 'images', hash, bytes: bytes.length, type: 'image/png' }
}

function jobOf(images: Buffer[], question: string): QueuedJob {
  const texts = partsOfInput({ question, labels: ['a', 'b'] })
  return {
    version: 2,
    id: `job_${nanoid(21)}`,
    model: 'shapes-vqa',
    modelVersion: '1',
    versionPinned: false,
    parts: [...images.map(blobPart), ...texts.parts],
    input: texts.input,
    parameters: {},
    metadata: null,
    createdAt: Date.now(),
    deadlineAt: null,
    cache: true,
    replyTo: null,
    owner: null,
    answersOf: null,
    priority: 'normal',
    retryOf: null,
  }
}

async function run(job: QueuedJob, images: Buffer[]): Promise<Job> {
  const bytes = new Map(images.map((image) => [blobPart(image).hash, image]))
  const digest = answerDigest({ version: '1', variant: 'fp32', fingerprint: 'f' }, job)
  return (await client.submitAndWait(job, bytes, { digest, timeoutMs: 30_000 })).job
}

test.each([
  ['none', [], []],
  ['one', [blue], [2]],
  ['two', [red, blue], [1, 2]],
  ['the same two in another order', [blue, red], [2, 1]],
  ['three, one of them twice', [grey, red, grey], [3, 1, 3]],
])('a job with %s of its images is answered from all of them', async (_, images, seen) => {
  const job = jobOf(images, 'what is it?')
  expect(await run(job, images)).toMatchObject({
    status: 'succeeded',
    cached: false,
    output: { images: seen, input: { question: 'what is it?', labels: ['a', 'b'] } },
  })
  // Told before what it held is given back and its answer is kept.
  await expect.poll(async () => client.depth('shapes-vqa')).toEqual({ jobs: 0, bytes: 0 })
  await expect
    .poll(async () => run(jobOf(images, 'what is it?'), images))
    .toMatchObject({ status: 'succeeded', cached: true, output: { images: seen } })
})

test('a job whose images crash an engine is refused when they come together again; each of them alone is not', async () => {
  const crash = jobOf([red, grey], '(die)')
  expect(await run(crash, [red, grey])).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } })
  expect(await run(jobOf([red, grey], 'harmless?'), [red, grey])).toMatchObject({ error: { code: 'engine_crashed' } })
  expect(await run(jobOf([red], 'alone?'), [red])).toMatchObject({ status: 'succeeded' })
  expect(await run(jobOf([grey, red], 'turned?'), [grey, red])).toMatchObject({ status: 'succeeded' })
  const old = await client.of(null).readForRetry(crash.id)
  expect(old?.parts).toEqual(crash.parts)
})

test('the same by HTTP: a list in JSON, a field repeated in a form, none at all; a number too many is 422', async () => {
  const images = await Promise.all(['red', 'blue'].map(onePixel))
  const asForm = new FormData()
  for (const image of images) asForm.append('image', new Blob([Uint8Array.from(image)]), 'a.png')
  asForm.append('question', 'by form?')
  const post = async (body: string | FormData): Promise<Response> =>
    fetch(`${system.url}/jobs`, {
      method: 'POST',
      body,
      headers: { Prefer: 'wait=30', ...(typeof body === 'string' ? { 'Content-Type': 'application/json' } : {}) },
    })
  const json = (input: object): string => JSON.stringify({ input })
  const base64 = images.map((image) => image.toString('base64'))
  // The first byte of a PNG.
  for (const [body, seen] of [
    [json({ images: base64, question: 'by JSON?' }), [0x89, 0x89]],
    [json({ image: base64[0], question: 'one by JSON?' }), [0x89]],
    [json({ question: 'none by JSON?' }), []],
    [asForm, [0x89, 0x89]],
  ] as const) {
    const job = jobResponseSchema.parse(await (await post(body)).json())
    expect(job).toMatchObject({ status: 'succeeded', output: { images: seen } })
  }
  const four = [...base64, ...base64]
  const refused = await post(json({ images: four, question: '?' }))
  expect(problemSchema.parse(await refused.json())).toMatchObject({
    status: 422,
    code: 'invalid_input',
    errors: [{ field: 'input.images', expected: 'at most 3 images (there are 4)' }],
  })
})

async function onePixel(background: string): Promise<Buffer> {
  return sharp({ create: { width: 1, height: 1, channels: 3, background } })
    .png()
    .toBuffer()
}
