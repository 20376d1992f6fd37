import type { BlobAddress, Blobs } from '@vision-queue/blobs'
import { holdStep, keptHolder, readTaken, releaseStep, takeStep } from '@vision-queue/blobs'
import type { Step } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'

import { keptBytesKey, keptKey, oldImageKey } from './keys.ts'
import { type BlobPart, blobsOf } from './parts.ts'
import type { QueuedJob } from './queued-job.ts'

type BlobJob = Pick<QueuedJob, 'id' | 'model' | 'answersOf' | 'parts'>

/** The addresses of a job's blobs; each once, whoever names it twice. */
export function addressesOf(job: Pick<QueuedJob, 'answersOf' | 'parts'>): BlobAddress[] {
  return [...new Set(blobsOf(job).map(({ hash }) => hash))].map((hash) => ({ space: job.answersOf, hash }))
}

/** The holds that jobs have on their blobs, by the id of the job. */
export interface JobBlobs {
  /** Safe to repeat. */
  release(job: BlobJob): Promise<void>
  /** The bytes of all blobs of a job in their order, or null where one of them is gone. */
  read(job: BlobJob): Promise<Uint8Array[] | null>
  /** As `read`, for a process that has no rights but what it is given. */
  handOver(job: BlobJob): Promise<(Uint8Array | string)[] | null>
  /** Of a job of shape 1, which has its bytes where its release had them; null: they are gone. */
  readOld(job: Pick<QueuedJob, 'model'>, part: BlobPart): Promise<Uint8Array | null>
}

/** Where what a model's ended jobs keep is counted. */
const keptKeys = (model: string) => ({ lapses: keptKey(model), bytes: keptBytesKey(model) })

/** The end of a job's holds on its blobs. */
export function releaseSteps(job: BlobJob): Step[] {
  return addressesOf(job).map((address) => releaseStep(address, job.id))
}

/**
 * Instead of `releaseSteps`: keeps what another try needs, while all that the model keeps so is within `maxBytes`.
 * `untaken` gives the steps that let go of what there was no room for, by what these steps have replied.
 */
export function keepSteps(
  job: BlobJob,
  { forMs, maxBytes }: { forMs: number; maxBytes: number },
): { steps: Step[]; untaken(replies: readonly unknown[]): Step[] } {
  const holder = keptHolder(job.model)
  // A job of shape 1 leaves its bytes to their expiry.
  const kept = blobsOf(job)
    .filter(({ old }) => old === undefined)
    .map(({ hash, bytes }) => ({ address: { space: job.answersOf, hash }, bytes }))
  const steps = kept.flatMap(({ address, bytes }) => [
    takeStep(keptKeys(job.model), `${address.hash} ${job.answersOf ?? ''}`, { bytes, forMs, maxBytes }),
    holdStep(address, holder, forMs),
  ])
  return {
    // The job's own holds end after those by which its blobs live on.
    steps: [...steps, ...releaseSteps(job)],
    untaken: (replies) =>
      kept.flatMap(({ address }, index) => (readTaken(replies[2 * index]) ? [] : [releaseStep(address, holder)])),
  }
}

/** `redis`: where releases before have stored bytes. */
export function createJobBlobs(redis: RedisClient, blobs: Blobs): JobBlobs {
  const release: JobBlobs['release'] = async (job) => {
    await Promise.all(addressesOf(job).map(async (address) => blobs.release(address, job.id)))
  }
  const readOld: JobBlobs['readOld'] = async ({ model }, { old }) =>
    old === undefined ? null : redis.getBuffer(oldImageKey(model, old))

  /** All of a job's, or null. */
  const readAll = async <T>(
    job: BlobJob,
    readOne: (address: BlobAddress) => Promise<T | Uint8Array | null>,
  ): Promise<(T | Uint8Array)[] | null> => {
    const read = await Promise.all(
      blobsOf(job).map(async (part) =>
        part.old === undefined ? readOne({ space: job.answersOf, hash: part.hash }) : readOld(job, part),
      ),
    )
    const there = read.filter((bytes) => bytes !== null)
    return there.length === read.length ? there : null
  }
  return {
    release,
    read: async (job) => readAll<Uint8Array>(job, blobs.read),
    handOver: async (job) => readAll<Uint8Array | string>(job, blobs.handOver),
    readOld,
  }
}
