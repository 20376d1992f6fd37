import { blobBytesKey, blobHoldersKey, createRedisBlobs, keptHolder } from '@vision-queue/blobs'
import { admittedBytesKey, admittedKey, jobKey, ownerJobsKey } from '../keys.ts'
import { beforeEach, expect, test } from 'vitest'

import type { TransportLog } from '@vision-queue/redis'

import { type Admission, createAdmission } from './admission.ts'
import { createJobQueues, type JobQueues } from '../job-queues.ts'
import { createOrphanSweep, type OrphanSweep } from './orphan-sweep.ts'
import { blobsOf } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import { createOwnerQuotas, type OwnerQuotas } from './owner-quota.ts'
import { blobPart, blobs, image, limits, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
let admission: Admission
let queues: JobQueues
let quotas: OwnerQuotas

function sweepOf(log: TransportLog = quiet): OrphanSweep {
  const redis = queue.redis
  return createOrphanSweep({ redis, admission, queues, quotas, blobs: createRedisBlobs(redis), log })
}

beforeEach(async () => {
  const redis = queue.redis
  admission = createAdmission(redis)
  queues = createJobQueues(redis)
  quotas = createOwnerQuotas(redis)
  await redis.hset('vq:models', 'm@1', '{}')
})

test.each(['somebody', null])(
  'an admission of %s whose submission broke off is given back at the second look, with its blobs',
  async (owner) => {
    const job: QueuedJob = {
      ...newJob(),
      owner,
      answersOf: owner,
      parts: [blobPart(image), blobPart(Buffer.from('other'))],
    }
    const blobs_ = createRedisBlobs(queue.redis)
    const addresses = blobsOf(job).map(({ hash }) => ({ space: owner, hash }))
    for (const address of addresses) {
      await blobs_.hold(address, job.id, 60_000)
      await blobs_.put(address, image, 60_000)
    }
    const [first, second] = addresses.map((address) => [blobBytesKey(address), blobHoldersKey(address)])
    // The hold of somebody else stays.
    if (addresses[1] !== undefined) await blobs_.hold(addresses[1], keptHolder('m'), 60_000)
    await admission.admit(job, limits)
    const sweep = sweepOf()
    expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
    expect(await admission.depth('m')).toEqual({ jobs: 1, bytes: image.length + 5 })
    expect(await sweep.look()).toEqual({ givenBack: 1, queued: 0 })
    expect(await admission.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    expect(await queue.redis.exists(admittedKey('m'), ...(first ?? []))).toBe(0)
    expect(await queue.redis.exists(...(second ?? []))).toBe(2)
    expect(await queue.redis.hgetall(admittedBytesKey('m'))).toEqual({ '': '0' })
  },
)

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
  await queue.client.submit(waiting, blobs)
  await admission.admit(slow, limits)
  const sweep = sweepOf()
  await sweep.look()
  await queue.client.submit(slow, blobs)
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await sweep.look()).toEqual({ givenBack: 0, queued: 0 })
  expect(await admission.depth('m')).toMatchObject({ jobs: 2 })
})
