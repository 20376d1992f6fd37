import { admittedBytesKey, admittedKey, jobKey, modelsKey, placeOf } from '../keys.ts'
import { readParts } from '../queue-places.ts'
import { queuedJobSchema } from '../queued-job.ts'

import { jobFields } from '@vision-queue/process'

import type { Admission, AdmittedJob } from './admission.ts'
import type { Blobs } from '@vision-queue/blobs'
import type { JobQueues } from '../job-queues.ts'
import type { OwnerQuotas } from './owner-quota.ts'
import type { RedisClient, TransportLog } from '@vision-queue/redis'

/**
 * A submission takes several visits on a Cluster, and two where bytes were missing: it is admitted with its blobs held,
 * then recorded and queued. An API process that dies in between, or loses Redis, leaves an orphan, which would hold its place in the bound for PAYLOAD_TTL_MS. What is
 * admitted and at two looks in a row has no record is given back; what has a record and isn't queued, is queued.
 * Two looks instead of ages: no clock is asked, and a submission takes a moment.
 */
export interface OrphanSweep {
  /** One look at the oldest admissions of every part of every model's queue. Rejects while Redis is away. */
  look(): Promise<{ givenBack: number; queued: number }>
}

/** Live jobs end, orphans don't: they come to be among the oldest, however long the queue is. */
const oldest = 1000

interface Options {
  redis: RedisClient
  admission: Admission
  queues: Pick<JobQueues, 'add' | 'find'>
  quotas: Pick<OwnerQuotas, 'release'>
  blobs: Pick<Blobs, 'release'>
  log: TransportLog
}

/** Looks every `everyMs` until closed. */
export function openOrphanSweep({ everyMs, ...options }: Options & { everyMs: number }): { close(): void } {
  const sweep = createOrphanSweep(options)
  const timer = setInterval(() => {
    // Where Redis is away, its connection has said so.
    sweep.look().catch(() => {})
  }, everyMs)
  return { close: () => clearInterval(timer) }
}

export function createOrphanSweep({ redis, admission, queues, quotas, blobs, log }: Options): OrphanSweep {
  let suspects = new Set<string>()

  /** What is still to be done for it; null: it is as it should be. */
  const care = async (admitted: AdmittedJob): Promise<(() => Promise<'givenBack' | 'queued'>) | null> => {
    const { id, model } = admitted
    const record = await redis.get(jobKey(id))
    if (record === null) {
      return async () => {
        const note = ((await redis.hget(admittedBytesKey(placeOf(admitted)), id)) ?? '').split(' ')
        const [, hashes = '', owner = '', space = ''] = note
        if (owner !== '') await quotas.release({ id, owner })
        // The holds are this job's own, so that no other one is concerned.
        for (const hash of hashes.split(',').filter((one) => one !== '')) {
          await blobs.release({ space: space === '' ? null : space, hash }, id)
        }
        await admission.release(admitted)
        log.warn({ ...jobFields({ id }), model }, 'A submission had broken off before it was recorded: given back')
        return 'givenBack'
      }
    }
    const job = queuedJobSchema.safeParse(JSON.parse(record))
    // One of a newer release is that release's business.
    if (!job.success || (await queues.find(job.data)) !== null) return null
    return async () => {
      // It has waited: before all that have a turn.
      await queues.add(job.data, null)
      log.warn({ ...jobFields(job.data), model }, 'A submission had broken off before it was queued: queued now')
      return 'queued'
    }
  }

  const lookAt = async (
    part: Pick<AdmittedJob, 'model' | 'part'>,
    seen: Set<string>,
    done: { givenBack: number; queued: number },
  ): Promise<void> => {
    const ids = await redis.zrange(admittedKey(placeOf(part)), '0', String(oldest - 1))
    // In one system call; nearly all have their record, and are asked no further until they stay.
    const known = await Promise.all(ids.map(async (id) => redis.exists(jobKey(id))))
    for (const [index, id] of ids.entries()) {
      if (known[index] === 1 && !suspects.has(id) && index >= oldestAsked) continue
      const act = await care({ ...part, id })
      if (act === null) continue
      if (suspects.has(id)) done[await act()] += 1
      else seen.add(id)
    }
  }

  return {
    async look() {
      const done = { givenBack: 0, queued: 0 }
      const seen = new Set<string>()
      const references = await redis.hkeys(modelsKey)
      for (const model of new Set(references.map((reference) => reference.replace(/@[^@]*$/, '')))) {
        const parts = await readParts(redis, model)
        for (let part = 0; part < parts; part += 1) await lookAt({ model, part }, seen, done)
      }
      suspects = seen
      return done
    },
  }
}

/** Of those with a record, so many of the oldest are looked for in their queue. */
const oldestAsked = 20
