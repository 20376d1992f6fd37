import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

import { idempotencyKey } from '../keys.ts'
import { isFinal, type Job, jobIdSchema, VisionQueueError } from '@vision-queue/protocol'
import { nanoid } from 'nanoid'
import { z } from 'zod'

import { defineScript } from '@vision-queue/redis'
import type { RedisClient } from '@vision-queue/redis'

/*
 * One submission per Idempotency-Key. The first request claims the key for a lease, together with the digest of what
 * it asks and the id that its job will have:
 *
 *   (none) -> claimed: nothing is in the queue yet; the key lapses with the lease
 *   claimed -> sent: the submission is on its way; the key stays for as long as the job could
 *   sent -> accepted: the job is in Redis; the key lapses with the job's result
 *   claimed or sent -> (none): the submission was refused
 *
 * Requests with the same key and digest wait while a lease runs and are then answered with the job. A lease that lapses
 * means a dead process: if its job is not there, the next request takes the key over and submits under the same
 * id, so that even a process that was only slow makes no second job.
 */

/** Claims a key that is free or, with ARGV[5], held under that token; tells the state of any other. */
const claimScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'digest', 'job', 'token', 'until')
if not held[1] or held[3] == ARGV[5] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'job', ARGV[2], 'token', ARGV[3], 'until', now + ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {'claimed', ARGV[2], ARGV[3], 1}
end
local state = held[4] == 'accepted' and 'accepted' or tonumber(held[4]) > now and 'leased' or 'lapsed'
return {state, held[2], held[3], held[1] == ARGV[1] and 1 or 0}`

/**
 * For who still holds the key under ARGV[1]: forgets it, or sets its state (a lease in milliseconds, or 'accepted')
 * and, unless ARGV[3] is empty, when it lapses. In a full Redis, too.
 */
const holdScript = `#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
if ARGV[2] == 'forget' then return redis.call('DEL', KEYS[1]) end
local state = ARGV[2]
if state ~= 'accepted' then
  local time = redis.call('TIME')
  state = time[1] * 1000 + math.floor(time[2] / 1000) + state
end
redis.call('HSET', KEYS[1], 'until', state)
if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`

const claimReplySchema = z.tuple([
  z.enum(['claimed', 'accepted', 'leased', 'lapsed']),
  jobIdSchema,
  z.string(),
  z.literal([0, 1]),
])

/** What a request with an Idempotency-Key asks. */
export interface IdempotentRequest {
  owner: string | null
  /** As it was sent. */
  key: string
  /** Of all that makes the job (jsonDigest): the same key with another digest is a conflict. */
  digest: string
  /** How long the request may take until it submits, in milliseconds. */
  leaseMs: number
}

/** A key that this request holds: it alone submits, under `id`. */
export interface IdempotencyClaim {
  id: string
  /** For QueuedJob: the key lapses with the job's result. */
  keyHash: string
  /** Right before the submission. Rejects with `idempotency_in_flight` if the lease lapsed and another request took over. */
  send(): Promise<void>
  /** Once the job is in Redis. */
  accept(job: Job): Promise<void>
  /**
   * If anything failed: frees the key for another try, or where the job may be in the queue all the same, ends the
   * lease. Does nothing after `accept`. Never rejects.
   */
  release(cause: unknown): Promise<void>
}

/** `job`: the key was used before for the same, and this is its job. */
export type Claimed = { kind: 'claimed'; claim: IdempotencyClaim } | { kind: 'known'; job: Job }

export interface IdempotencyKeys {
  /**
   * Claims the key, or waits for the request that has it. Rejects with `idempotency_conflict` if the key was used for
   * something else, and with `idempotency_in_flight` if the other request takes longer than any should.
   */
  claim(request: IdempotentRequest): Promise<Claimed>
}

interface Options {
  redis: RedisClient
  read: (id: string, owner: string | null) => Promise<Job | null>
  /** How long one submission may take, in milliseconds. */
  sendMs: number
  /** The longest that a job can be there, in milliseconds. */
  keepMs: number
}

export function createIdempotencyKeys({ redis, read, sendMs, keepMs }: Options): IdempotencyKeys {
  const claimKey = defineScript(redis, 'vqClaimKey', 1, claimScript)
  const holdKey = defineScript(redis, 'vqHoldKey', 1, holdScript)

  const openClaim = (name: string, keyHash: string, id: string, token: string): IdempotencyClaim => {
    let state: 'claimed' | 'sent' | 'accepted' = 'claimed'
    return {
      id,
      keyHash,
      async send() {
        if ((await holdKey([name, token, sendMs, keepMs])) !== 1) throw inFlight()
        state = 'sent'
      },
      async accept(job) {
        state = 'accepted'
        // One that still runs is told to lapse by its end (result-store.ts).
        const lapse = isFinal(job.status) && job.expires_at !== null ? Date.parse(job.expires_at) - Date.now() : null
        await holdKey([name, token, 'accepted', lapse === null ? '' : Math.max(1, lapse)])
      },
      async release(cause) {
        if (state === 'accepted') return
        const refused = cause instanceof VisionQueueError && cause.code !== 'queue_unavailable'
        await holdKey([name, token, state === 'claimed' || refused ? 'forget' : 0, '']).catch(() => {})
      },
    }
  }

  return {
    async claim({ owner, key, digest, leaseMs }) {
      const keyHash = createHash('sha256').update(key).digest('base64url')
      const name = idempotencyKey(owner, keyHash)
      const token = nanoid()
      const giveUpAt = performance.now() + leaseMs + 2 * sendMs
      let id = newJobId()
      let takenFrom = ''
      for (let pauseMs = 10; ; pauseMs = Math.min(200, pauseMs * 2)) {
        const reply = await claimKey([name, digest, id, token, leaseMs, takenFrom])
        const [state, heldId, heldToken, same] = claimReplySchema.parse(reply)
        if (state === 'claimed') return { kind: 'claimed', claim: openClaim(name, keyHash, id, token) }
        const job = state === 'leased' ? null : await read(heldId, owner)
        if ((job !== null || state === 'leased') && same === 0) throw conflict()
        if (job !== null) return { kind: 'known', job }
        if (performance.now() > giveUpAt) throw inFlight()
        if (state === 'leased') await delay(pauseMs)
        else {
          // Its job is forgotten, or never came to be.
          takenFrom = heldToken
          id = state === 'lapsed' && same === 1 ? heldId : newJobId()
        }
      }
    },
  }
}

/** A fresh id for a job. */
export function newJobId(): string {
  return `job_${nanoid(21)}`
}

function conflict(): VisionQueueError {
  const detail = 'This Idempotency-Key was used for another request; a new request needs a new key.'
  return new VisionQueueError('idempotency_conflict', detail)
}

function inFlight(): VisionQueueError {
  const detail = 'Another request with this Idempotency-Key is still being served. Send this one again.'
  return new VisionQueueError('idempotency_in_flight', detail, { retryAfterMs: 1000 })
}
