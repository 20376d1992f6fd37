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

import type { TransportLog } from '@vision-queue/redis'

import { type Admission, createAdmission } from './admission.ts'
import { createUploadHolds, openImageStore } from './image-store.ts'
import { createJobQueues, type JobQueues } from '../job-queues.ts'
import { createOrphanSweep, type OrphanSweep } from './orphan-sweep.ts'
import { createOwnerQuotas, type OwnerQuotas } from './owner-quota.ts'
import { image, limits, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
let admission: Admission
let queues: JobQueues
let quotas: OwnerQuotas

function sweepOf(log: TransportLog = quiet): OrphanSweep {
  const redis = queue.redis
  return createOrphanSweep({ redis, admission, queues, quotas, uploads: createUploadHolds(redis), log })
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
  const { hash } = job.image
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
  const uploaded = { ...job, image: { ...job.image, uploaded: true } }
  const { hash } = job.image
  const store = openImageStore({
    redisUrl: queue.url,
    commandTimeoutMs: 500,
    imageTtlMs: 60_000,
    maxBytes: 1000,
    log: quiet,
  })
  queue.atEnd(() => store.close())
  await vi.waitFor(async () => store.keep({ ...job.image, width: 8, height: 8 }, image))
  await store.hold(hash, job.id, 60_000)
  await store.remove(hash)
  await admission.admit(uploaded, limits)
  const sweep = sweepOf()
  await sweep.look()
  expect(await queue.redis.exists(uploadKey(hash), uploadHoldersKey(hash))).toBe(2)
  expect(await sweep.look()).toEqual({ givenBack: 1, queued: 0 })
  expect(await queue.redis.exists(uploadKey(hash), uploadHoldersKey(hash))).toBe(0)
})

test('each of them is a log line with the job and, if it was recorded, its request', async () => {
  const context = { requestId: 'req_1', traceparent: null }
  const [recorded, lost] = [{ ...newJob(), context }, newJob()]
  for (const job of [recorded, lost]) await admission.admit(job, limits)
  await queue.redis.set(jobKey(recorded.id), JSON.stringify(recorded))
  const lines: object[] = []
  const sweep = sweepOf({ ...quiet, warn: (fields: object) => lines.push(fields) })
  await sweep.look()
  expect(lines).toEqual([])
  await sweep.look()
  expect(lines).toHaveLength(2)
  expect(lines).toContainEqual({ job_id: recorded.id, request_id: 'req_1', model: 'm' })
  expect(lines).toContainEqual({ job_id: lost.id, request_id: null, model: 'm' })
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
  await queue.client.submit(waiting, image)
  await admission.admit(slow, limits)
  const sweep = sweepOf()
  await sweep.look()
  await queue.client.submit(slow, image)
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await admission.depth('m')).toMatchObject({ jobs: 2 })
})
