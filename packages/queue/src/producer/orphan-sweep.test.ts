import {
  admittedBytesKey,
  admittedKey,
  jobKey,
  ownerJobsKey,
  payloadHoldersKey,
  payloadKey,
  uploadHoldersKey,
  uploadKey,
} from '../keys.ts'
import { beforeEach, expect, test, vi } from 'vitest'

import { type Admission, createAdmission } from './admission.ts'
import { createUploadHolds, openImageStore } from './image-store.ts'
import { createJobQueues, type JobQueues } from '../job-queues.ts'
import { createOrphanSweep, type OrphanSweep } from './orphan-sweep.ts'
import { createOwnerQuotas, type OwnerQuotas } from './owner-quota.ts'
import { blobPart, hashOf, blobs, image, limits, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
let admission: Admission
let queues: JobQueues
let quotas: OwnerQuotas

function sweepOf(): OrphanSweep {
  const redis = queue.redis
  return createOrphanSweep({ redis, admission, queues, quotas, uploads: createUploadHolds(redis) })
}

beforeEach(async () => {
  const redis = queue.redis
  admission = createAdmission(redis)
  queues = createJobQueues(redis)
  quotas = createOwnerQuotas(redis)
  await redis.hset('vq:models', 'm@1', '{}')
})

test('an admission whose submission broke off is given back at the second look, payload and bytes too', async () => {
  const job = newJob()
  await admission.admit(job, limits)
  await admission.store(job, image, limits)
  const sweep = sweepOf()
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await admission.depth('m')).toEqual({ jobs: 1, bytes: image.length })
  expect(await sweep.look()).toEqual({ givenBack: 1, queued: 0 })
  expect(await admission.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  const hash = hashOf(job)
  expect(await queue.redis.exists(admittedKey('m'), payloadKey('m', hash), payloadHoldersKey('m', hash))).toBe(0)
  expect(await queue.redis.hgetall(admittedBytesKey('m'))).toEqual({ '': '0' })
})

test('what it took of its owner’s quota is given back with it', async () => {
  const job = { ...newJob(), owner: 'somebody' }
  await quotas.take(job, { maxJobs: 1, maxBytes: null }, 60_000)
  await admission.admit(job, limits)
  const sweep = sweepOf()
  await sweep.look()
  expect(await queue.redis.exists(ownerJobsKey('somebody'))).toBe(1)
  expect(await sweep.look()).toEqual({ givenBack: 1, queued: 0 })
  expect(await queue.redis.exists(ownerJobsKey('somebody'))).toBe(0)
})

test('its hold on an uploaded image is given back with it', async () => {
  const job = newJob()
  const uploaded = { ...job, parts: [{ ...blobPart(image), old: { name: hashOf(job), uploaded: true } }] }
  const hash = hashOf(job)
  const store = openImageStore({
    redisUrl: queue.url,
    commandTimeoutMs: 500,
    imageTtlMs: 60_000,
    maxBytes: 1000,
    log: quiet,
  })
  queue.atEnd(() => store.close())
  await vi.waitFor(async () => store.keep({ ...blobPart(image), width: 8, height: 8 }, image))
  await store.hold(hash, job.id, 60_000)
  await store.remove(hash)
  await admission.admit(uploaded, limits)
  const sweep = sweepOf()
  await sweep.look()
  expect(await queue.redis.exists(uploadKey(hash), uploadHoldersKey(hash))).toBe(2)
  expect(await sweep.look()).toEqual({ givenBack: 1, queued: 0 })
  expect(await queue.redis.exists(uploadKey(hash), uploadHoldersKey(hash))).toBe(0)
})

test('a job that was recorded and not queued is queued, and runs', async () => {
  const job = newJob()
  await admission.admit(job, limits)
  await queue.redis.set(jobKey(job.id), JSON.stringify(job))
  const sweep = sweepOf()
  await sweep.look()
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 1 })
  expect(await queues.find(job)).toMatchObject({ state: 'waiting' })
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
})

test('jobs that wait, and one that is queued between two looks, stay as they are', async () => {
  const [waiting, slow] = [newJob(), newJob()]
  await queue.client.submit(waiting, blobs)
  await admission.admit(slow, limits)
  const sweep = sweepOf()
  await sweep.look()
  await queue.client.submit(slow, blobs)
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await admission.depth('m')).toMatchObject({ jobs: 2 })
})
