import type { BlobAddress, Blobs, Budget } from '@vision-queue/blobs'
import { createRedisBudget, keptHolder } from '@vision-queue/blobs'
import type { Turns } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'

import { keptBytesKey, keptKey, oldImageKey } from './keys.ts'
import { type BlobPart, blobsOf } from './parts.ts'
import type { QueuedJob } from './queued-job.ts'
import { turnsOf } from './redis-turns.ts'

type BlobJob = Pick<QueuedJob, 'id' | 'model' | 'answersOf' | 'parts'>

/** The addresses of a job's blobs; each once, whoever names it twice. */
export function addressesOf(job: Pick<QueuedJob, 'answersOf' | 'parts'>): BlobAddress[] {
  return [...new Set(blobsOf(job).map(({ hash }) => hash))].map((hash) => ({ space: job.answersOf, hash }))
}

/** The holds that jobs have on their blobs, by the id of the job. */
export interface JobBlobs {
  /** Safe to repeat. */
  release(job: BlobJob): Promise<void>
  /** Instead of `release`: keeps what another try needs, while all that the model keeps so is within `maxBytes`. */
  keep(job: BlobJob, keep: { forMs: number; maxBytes: number }): Promise<void>
  /** The bytes of all blobs of a job in their order, or null where one of them is gone. */
  read(job: BlobJob): Promise<Uint8Array[] | null>
  /** Of a job of shape 1, which has its bytes where its release had them; null: they are gone. */
  readOld(job: Pick<QueuedJob, 'model'>, part: BlobPart): Promise<Uint8Array | null>
}

/** `redis`: where the budget of the kept blobs is, and what releases before have stored. */
export function createJobBlobs(redis: RedisClient, blobs: Blobs, turns: Turns = turnsOf(redis)): JobBlobs {
  const release: JobBlobs['release'] = async (job) => {
    await Promise.all(addressesOf(job).map(async (address) => blobs.release(address, job.id)))
  }
  const readOld: JobBlobs['readOld'] = async ({ model }, { old }) =>
    old === undefined ? null : redis.getBuffer(oldImageKey(model, old))

  const budgets = new Map<string, Budget>()
  /** Of what a model keeps. */
  const budgetOf = (model: string): Budget => {
    const known =
      budgets.get(model) ?? createRedisBudget(redis, { lapses: keptKey(model), bytes: keptBytesKey(model) }, turns)
    budgets.set(model, known)
    return known
  }

  return {
    release,
    async keep(job, { forMs, maxBytes }) {
      const budget = budgetOf(job.model)
      // A job of shape 1 leaves its bytes to their expiry.
      const parts = blobsOf(job).filter(({ old }) => old === undefined)
      const kept = parts.map(async ({ hash, bytes }) => {
        const address = { space: job.answersOf, hash }
        const holder = keptHolder(job.model)
        // Sent together, which is one wait for Redis. What there is no room for is let go again.
        const [taken] = await Promise.all([
          budget.take(`${hash} ${job.answersOf ?? ''}`, { bytes, forMs, maxBytes }),
          blobs.hold(address, holder, forMs),
        ])
        if (!taken.taken) await blobs.release(address, holder)
      })
      // After the holds, by which its blobs live on.
      const released = blobs.inOrder ? release(job) : Promise.all(kept).then(async () => release(job))
      await Promise.all([...kept, released])
    },
    async read(job) {
      const read = await Promise.all(
        blobsOf(job).map(async (part) =>
          part.old === undefined ? blobs.read({ space: job.answersOf, hash: part.hash }) : readOld(job, part),
        ),
      )
      const there = read.filter((bytes) => bytes !== null)
      return there.length === read.length ? there : null
    },
    readOld,
  }
}
