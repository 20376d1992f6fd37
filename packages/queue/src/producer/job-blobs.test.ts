import {
  blobBytesKey,
  blobHoldersKey,
  createUploads,
  createRedisBlobs,
  createRedisBudget,
  uploadsBudgetKeys,
} from '@vision-queue/blobs'
import { describe, expect, test } from 'vitest'

import { answerDigest } from '../answer-digest.ts'
import { finalJob } from '../job-forms.ts'
import { jobKey, oldImageKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import {
  blobPart,
  bytesByHash,
  newJob,
  noBlobs,
  retention,
  succeeded,
  useTestQueue,
} from '../test-support/test-queue.ts'

const queue = useTestQueue()
const [red, blue] = [Buffer.alloc(100, 1), Buffer.alloc(50, 2)]
const kept = { failedPayloadTtlMs: 10_000, failedPayloadMaxBytes: 1000 }

function jobOf(images: Buffer[], changes: Partial<QueuedJob> = {}): QueuedJob {
  return { ...newJob(), parts: images.map(blobPart), ...changes }
}

/** Consumes all jobs; gives what each of them has read, as one number an image. */
function consumeAll(): Map<string, (number | undefined)[] | null> {
  const read = new Map<string, (number | undefined)[] | null>()
  queue.consume(async ({ job, readBlobs }) => {
    if (job === null) throw new Error('unreadable')
    read.set(job.id, (await readBlobs(job))?.map((bytes) => bytes[0]) ?? null)
    await queue.resultStore().finish(job, succeeded(job, 'a'))
    return { kind: 'done' }
  })
  return read
}

const blobKeys = async (): Promise<string[]> => queue.redis.keys('vq:{blob:*')

describe('the images of a job', () => {
  test.each([
    ['none', [], []],
    ['two', [blue, red], [2, 1]],
    ['one twice', [red, red], [1, 1]],
  ])('%s: they are read in their order, counted, and gone with the job', async (_, images, expected) => {
    const job = jobOf(images)
    await queue.client.submit(job, bytesByHash(...images))
    const bytes = images.reduce((sum, { length }) => sum + length, 0)
    expect(await queue.client.depth('m')).toEqual({ jobs: 1, bytes })
    const read = consumeAll()
    expect(await queue.client.waitFor(job.id, 10_000)).toMatchObject({ status: 'succeeded' })
    expect(read.get(job.id)).toEqual(expected)
    await expect.poll(blobKeys).toEqual([])
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  })

  test('count together against the bound and the owner’s quota', async () => {
    const small = await queue.connect({ maxBytes: 149 })
    await expect(small.submit(jobOf([red, blue]), bytesByHash(red, blue))).rejects.toMatchObject({ code: 'queue_full' })
    const quota = { maxJobs: null, maxBytes: 149 }
    const owned = jobOf([red, blue], { owner: 'somebody', answersOf: 'somebody' })
    await expect(queue.client.submit(owned, bytesByHash(red, blue), { quota })).rejects.toMatchObject({
      code: 'quota_exceeded',
    })
    // What was refused leaves nothing.
    expect(await blobKeys()).toEqual([])
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  })

  test('make another question in another order', () => {
    const model = { version: '1', variant: 'int8', fingerprint: 'f' }
    const digests = [[], [red], [red, blue], [blue, red]].map((images) => answerDigest(model, jobOf(images)))
    expect(new Set(digests).size).toBe(4)
  })

  test('that are neither stored nor given are refused, and nothing is left', async () => {
    const half = queue.client.submit(jobOf([red, blue]), bytesByHash(red))
    await expect(half).rejects.toMatchObject({ code: 'image_not_found' })
    const retry = queue.client.submit(jobOf([red], { retryOf: newJob().id }), noBlobs)
    await expect(retry).rejects.toMatchObject({ code: 'job_not_retryable' })
    expect(await blobKeys()).toEqual([])
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  })

  test('are kept for another try, all of them', async () => {
    const keeping = await queue.connect({ retention: { ...retention, ...kept } })
    const job = jobOf([red, blue], { owner: 'somebody', answersOf: 'somebody' })
    await keeping.submit(job, bytesByHash(red, blue))
    await queue.resultStore(kept).finish(job, finalJob(job, { status: 'failed', attempts: 1 }, 60_000))
    const old = await keeping.of(job.owner).readForRetry(job.id)
    if (old === null) throw new Error('not kept')
    const again = { ...old, id: newJob().id, retryOf: job.id }
    await keeping.submit(again, noBlobs)
    const read = consumeAll()
    await keeping.of(again.owner).waitFor(again.id, 10_000)
    expect(read.get(again.id)).toEqual([1, 2])
  })

  test('lie apart for each owner: one that another has sent is sent again', async () => {
    const jobs = ['one', 'other', null].map((owner) => jobOf([red], { owner, answersOf: owner }))
    for (const job of jobs) {
      await expect(queue.client.submit(job, noBlobs)).rejects.toMatchObject({ code: 'image_not_found' })
      await queue.client.submit(job, bytesByHash(red))
    }
    expect((await blobKeys()).filter((key) => key.endsWith(':bytes')).length).toBe(3)
  })
})

describe('jobs on an uploaded image', () => {
  const uploadsOf = (imageTtlMs = 60_000) =>
    createUploads({
      blobs: createRedisBlobs(queue.redis),
      budget: createRedisBudget(queue.redis, uploadsBudgetKeys),
      imageTtlMs,
      maxBytes: 120,
    }).of(null)
  const { hash, bytes, type } = blobPart(red)
  const facts = { hash, bytes, type, width: 3, height: 2 }
  const address = { space: null, hash }

  test('send no bytes: twenty questions read the one image', async () => {
    const client = await queue.connect({ maxJobs: 100, maxBytes: 10_000 })
    await uploadsOf().keep(facts, red)
    const jobs = Array.from({ length: 20 }, () => jobOf([red]))
    for (const job of jobs) {
      expect(await uploadsOf().hold(hash, job.id, 60_000)).toMatchObject(facts)
      await client.submit(job, noBlobs)
    }
    const read = consumeAll()
    for (const { id } of jobs) expect(await client.waitFor(id, 10_000)).toMatchObject({ status: 'succeeded' })
    expect([...read.values()]).toEqual(jobs.map(() => [1]))
    expect(await uploadsOf().find(hash)).toMatchObject(facts)
    expect(await queue.redis.zrange(blobHoldersKey(address), '0', '-1')).toEqual(['upload:'])
  })

  test('keep its bytes beyond its own time, and though it is removed, until the last of them is final', async () => {
    const uploads = uploadsOf(300)
    await uploads.keep(facts, red)
    const [one, two] = [jobOf([red]), jobOf([red])]
    for (const job of [one, two]) {
      await uploads.hold(hash, job.id, 100)
      await queue.client.submit(job, noBlobs)
    }
    await expect.poll(async () => uploads.find(hash)).toBeNull()
    expect(await uploads.hold(hash, newJob().id, 60_000)).toBeNull()
    expect([await uploads.remove(hash)]).toEqual([false])
    await queue.resultStore().finish(one, succeeded(one, 'a'))
    expect(await queue.redis.getBuffer(blobBytesKey(address))).toEqual(red)
    await queue.resultStore().finish(two, succeeded(two, 'a'))
    expect(await blobKeys()).toEqual([])
  })

  test('that are refused or answered let go of it', async () => {
    await uploadsOf().keep(facts, red)
    const full = await queue.connect({ maxJobs: 0 })
    const refused = jobOf([red])
    await uploadsOf().hold(hash, refused.id, 60_000)
    await expect(full.submit(refused, noBlobs)).rejects.toMatchObject({ code: 'queue_full' })
    const first = jobOf([red])
    await queue.client.submit(first, noBlobs)
    const final = { ...succeeded(first, 'a'), variant: 'int8' }
    await queue.resultStore().finish(first, final, 'digest')
    for (const from of ['redis', 'memory']) {
      const job = jobOf([red])
      await uploadsOf().hold(hash, job.id, 60_000)
      expect(await queue.client.submit(job, noBlobs, { digest: 'digest' })).toMatchObject({ answeredFrom: from })
    }
    expect(await queue.redis.zrange(blobHoldersKey(address), '0', '-1')).toEqual(['upload:'])
  })

  test('the bound counts uploads; the same again is no other, and room comes with the end of one', async () => {
    const other = { ...facts, hash: blobPart(blue).hash, bytes: 50 }
    await uploadsOf().keep(facts, red)
    await uploadsOf().keep(facts, red)
    await expect(uploadsOf().keep(other, blue)).rejects.toMatchObject({ code: 'uploads_full' })
    await expect(uploadsOf().keep(facts, Buffer.alloc(121))).rejects.toMatchObject({ code: 'payload_too_large' })
    expect([await uploadsOf().remove(hash), await uploadsOf().remove(hash)]).toEqual([true, false])
    await uploadsOf().keep(other, blue)
    expect(await blobKeys()).toHaveLength(3)
  })
})

describe('a job of shape 1', () => {
  function old(job: QueuedJob, uploaded: boolean): object {
    const { parts: _parts, ...rest } = job
    const image = { hash: blobPart(red).hash, name: 'b'.repeat(64), bytes: 100, type: 'image/png', uploaded }
    return { ...rest, version: 1, image, input: { question: 'q', labels: ['a'] } }
  }

  test.each([false, true])('that waits has its image and its texts (uploaded: %s)', async (uploaded) => {
    const job = newJob()
    await queue.client.submit({ ...job, parts: [] }, noBlobs)
    await queue.redis.hset(`vq:{m}:jobs:${job.id}`, 'data', JSON.stringify(old(job, uploaded)))
    await queue.redis.set(oldImageKey('m', { name: 'b'.repeat(64), uploaded }), red, 'PX', 60_000)
    const read = consumeAll()
    expect(await queue.client.waitFor(job.id, 10_000)).toMatchObject({ status: 'succeeded' })
    expect(read.get(job.id)).toEqual([1])
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  })

  test('that failed is tried again with the image that it has left', async () => {
    const keeping = await queue.connect({ retention: { ...retention, ...kept } })
    const job = newJob()
    await queue.redis.set(jobKey(job.id), JSON.stringify(old(job, false)), 'PX', 60_000)
    await queue.resultStore(kept).keep(finalJob(job, { status: 'failed', attempts: 1 }, 60_000))
    await queue.redis.set(oldImageKey('m', { name: 'b'.repeat(64), uploaded: false }), red, 'PX', 60_000)
    const record = await keeping.of(job.owner).readForRetry(job.id)
    if (record === null) throw new Error('not kept')
    const again = { ...record, id: newJob().id, retryOf: job.id }
    await keeping.submit(again, noBlobs)
    const read = consumeAll()
    await keeping.of(again.owner).waitFor(again.id, 10_000)
    expect(read.get(again.id)).toEqual([1])
    expect(await blobKeys()).toEqual([])
  })
})
