import type { Step, Turns } from '@vision-queue/bullmq-batching'

import type { KeyLimits } from '../api-key.ts'
import { blobBytesOf } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { turnsOf } from '../redis-turns.ts'
import { quotaStep } from './quota-steps.ts'
import type { RedisClient } from '@vision-queue/redis'

/** The bounds of one key that concern jobs. */
export type JobQuota = Pick<KeyLimits, 'maxJobs' | 'maxBytes'>

/** What keys have in the queue. Jobs without an owner take nothing and cost nothing. */
export interface OwnerQuotas {
  /**
   * Rejects with `quota_exceeded`. The place lapses after `lapseMs`, unless it is confirmed. Safe to repeat, and for a
   * job that has its place.
   */
  take(job: Pick<QueuedJob, 'id' | 'owner' | 'parts'>, quota: JobQuota, lapseMs: number): Promise<void>
  /** The job is admitted: its place lapses after `lapseMs`, should it never be given back. Safe to repeat. */
  confirm(job: Pick<QueuedJob, 'id' | 'owner' | 'parts'>, quota: JobQuota, lapseMs: number): Promise<void>
  /** Safe to repeat, and for jobs that took nothing. */
  release(job: Pick<QueuedJob, 'id' | 'owner'>): Promise<void>
}

const takeReplySchema = z.tuple([z.literal([0, 1, 2]), z.number()])

/** The steps by which a job takes its place and keeps it; null: it needs none. */
export function quotaOf(
  { id, owner, parts }: Pick<QueuedJob, 'id' | 'owner' | 'parts'>,
  quota: JobQuota | null | undefined,
  { placeMs, keepMs }: { placeMs: number; keepMs: number },
): { take: Step; confirm: Step; read: (reply: unknown) => void } | null {
  if (owner === null || quota === null || quota === undefined || isUnlimited(quota)) return null
  const bytes = blobBytesOf({ parts })
  const bounds = [quota.maxJobs ?? unlimited, quota.maxBytes ?? unlimited]
  return {
    take: quotaStep('take', owner, [id, bytes, placeMs, ...bounds]),
    confirm: quotaStep('confirm', owner, [id, bytes, keepMs]),
    read: (reply) => assertTaken(reply, quota),
  }
}
const unlimited = Number.MAX_SAFE_INTEGER

/** The step by which a job gives its place back; null: its owner has none. */
export function placeBackStep({ id, owner }: Pick<QueuedJob, 'id' | 'owner'>): Step | null {
  return owner === null ? null : quotaStep('release', owner, [id])
}

function assertTaken(reply: unknown, { maxBytes }: JobQuota): void {
  const [kind, held] = takeReplySchema.parse(reply)
  switch (kind) {
    case 1:
      return
    case 0:
      throw exceeded(`This key has ${held} unfinished jobs, its limit.`)
    case 2:
      throw exceeded(`This key's unfinished jobs hold ${held} bytes of images; this one would pass ${maxBytes}.`)
    default:
      kind satisfies never
  }
}

export function createOwnerQuotas(redis: RedisClient, turns: Turns = turnsOf(redis)): OwnerQuotas {
  return {
    async take(job, quota, placeMs) {
      const asked = quotaOf(job, quota, { placeMs, keepMs: placeMs })
      if (asked === null) return
      const [reply] = await turns.run([asked.take])
      asked.read(reply)
    },
    async confirm(job, quota, keepMs) {
      const asked = quotaOf(job, quota, { placeMs: keepMs, keepMs })
      // In a full Redis too, as the job is in already.
      if (asked !== null) await turns.run([asked.confirm], { whenFull: true })
    },
    async release(job) {
      const step = placeBackStep(job)
      if (step !== null) await turns.run([step], { whenFull: true })
    },
  }
}

function isUnlimited({ maxJobs, maxBytes }: JobQuota): boolean {
  return maxJobs === null && maxBytes === null
}

function exceeded(detail: string): VisionQueueError {
  return new VisionQueueError('quota_exceeded', detail, { retryAfterMs: 1000 })
}
