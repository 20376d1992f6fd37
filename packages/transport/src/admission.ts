import {
  admittedBytesKey,
  admittedKey,
  answerKey,
  type CachedAnswer,
  cachedAnswerSchema,
  keptBytesKey,
  keptKey,
  payloadHoldersKey,
  payloadKey,
  type QueuedJob,
  VisionQueueError,
} from '@vision-queue/jobs'
import type { Redis } from 'ioredis'
import { z } from 'zod'

import { turnArguments, turnKeys, turnLua, type TurnOptions } from './turns.ts'

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits together with storing the payload, so no burst slips past it (a read-then-add gate
 * let 1,130 jobs in at a limit of 1,000). Where the answer is known already, nothing is admitted.
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders, the
 * answer that would do, and those of its turn (turns.ts). A payload lives while a job holds it; a resubmitted id keeps its place.
 */
const admitScript = (rounds?: number): string => `${turnLua(rounds)}
local answer = ARGV[9] == '1' and redis.call('GET', KEYS[5])
if answer then return {2, answer, 0} end
if ARGV[10] == '1' and redis.call('EXISTS', KEYS[3]) == 0 then return {4, 0, 0} end
local now, lapse, id, bytes = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HINCRBY', KEYS[2], '', -tonumber(redis.call('HGET', KEYS[2], lapsed) or 0))
  redis.call('HDEL', KEYS[2], lapsed)
  redis.call('ZREM', KEYS[1], lapsed)
end
local jobs = redis.call('ZCARD', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if not redis.call('ZSCORE', KEYS[1], id) then
  if jobs >= tonumber(ARGV[5]) or held + bytes > tonumber(ARGV[6]) then return {0, jobs, held} end
  if jobs > tonumber(ARGV[8]) then return {3, jobs, held} end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes)
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
if ARGV[7] ~= '' and redis.call('PEXPIREAT', KEYS[3], lapse) == 0 then
  redis.call('SET', KEYS[3], ARGV[7], 'PXAT', lapse)
end
redis.call('ZADD', KEYS[4], lapse, id)
redis.call('PEXPIREAT', KEYS[4], lapse)
local its = ARGV[11] == '' and 0
  or turn(KEYS[6], KEYS[7], jobs == 0, lapse, ARGV[11], tonumber(ARGV[12]), tonumber(ARGV[13]))
return {1, jobs, its}`

/**
 * Gives an admission back; the payload goes with its last holder. With ARGV[3] above 0 it stays so many
 * milliseconds for another try, held under the name 'kept', unless all that are kept hold ARGV[4] bytes already.
 * Further keys: the kept payloads by lapse time, their bytes. Safe to repeat.
 */
const releaseScript = `
local function keep(now, ms)
  for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now)) do
    redis.call('HINCRBY', KEYS[6], '', -tonumber(redis.call('HGET', KEYS[6], lapsed) or 0))
    redis.call('HDEL', KEYS[6], lapsed)
    redis.call('ZREM', KEYS[5], lapsed)
  end
  local bytes = redis.call('STRLEN', KEYS[3])
  if bytes == 0 then return end
  if redis.call('HEXISTS', KEYS[6], ARGV[5]) == 0 then
    if tonumber(redis.call('HGET', KEYS[6], '') or 0) + bytes > tonumber(ARGV[4]) then return end
    redis.call('HSET', KEYS[6], ARGV[5], bytes)
    redis.call('HINCRBY', KEYS[6], '', bytes)
  end
  redis.call('ZADD', KEYS[5], now + ms, ARGV[5])
  redis.call('ZADD', KEYS[4], now + ms, 'kept')
  local alone = redis.call('ZCARD', KEYS[4]) == 1
  for _, key in ipairs({KEYS[3], KEYS[4]}) do
    if alone then redis.call('PEXPIREAT', key, now + ms) else redis.call('PEXPIREAT', key, now + ms, 'GT') end
  end
  redis.call('PEXPIRE', KEYS[5], ms)
  redis.call('PEXPIRE', KEYS[6], ms)
end
local bytes = redis.call('HGET', KEYS[2], ARGV[1])
if bytes then
  redis.call('HINCRBY', KEYS[2], '', -tonumber(bytes))
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
if ARGV[3] ~= '0' then keep(tonumber(ARGV[2]), tonumber(ARGV[3])) end
if redis.call('ZCARD', KEYS[4]) == 0 then redis.call('UNLINK', KEYS[3]) end
return 1`

export interface AdmissionLimits {
  /** Unfinished jobs a model may have. */
  maxJobs: number
  /** Sum of their payload bytes; an image used by several jobs counts once for each. */
  maxBytes: number
  /** How long an unfinished job and its payload are kept. */
  payloadTtlMs: number
}

/** How fast the model's jobs are worked off, as its consumers announce it. */
export interface Pace {
  /** All consumers together, when there is always work. */
  jobsPerSecond: number
  /** What one job takes once it is its turn, in milliseconds. */
  jobMs: number
}

export interface AdmitOptions {
  /** Of what the job asks (answerDigest): where the answer is kept, it is given. Null, the default: compute it. */
  digest: string | null
  /** The job brings no image but counts on the payload of an earlier one. Default: false. */
  reusesPayload: boolean
  /** Null, the default, while unknown: then no deadline is held against it. */
  pace: Pace | null
}

export type Admittance =
  | { kind: 'admitted'; jobsAhead: number; turn: number }
  | { kind: 'answered'; answer: CachedAnswer }

export interface Admission {
  /**
   * Rejects with `queue_full` and, where the jobs ahead would take longer than the job's deadline allows, with
   * `deadline_unmeetable`. `image` is null where the payload is in Redis already: kept by somebody else or, with
   * `reusesPayload`, by the payload's own time, which is over where this rejects with `job_not_retryable`.
   */
  admit(
    job: QueuedJob,
    image: Uint8Array | null,
    limits: AdmissionLimits,
    options?: Partial<AdmitOptions>,
  ): Promise<Admittance>
  /** `keep`: leave the payload for another try, so long and while all that is kept so is within `maxBytes`. */
  release(
    job: Pick<QueuedJob, 'id' | 'model' | 'image'>,
    keep: { forMs: number; maxBytes: number } | null,
  ): Promise<void>
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

const admitReplySchema = z.union([
  z.tuple([z.literal(2), z.string(), z.number()]),
  z.tuple([z.literal([0, 1, 3, 4]), z.number(), z.number()]),
])

export function createAdmission(redis: Redis, { rounds }: TurnOptions = {}): Admission {
  const keys = ({ model, image }: Pick<QueuedJob, 'model' | 'image'>): string[] => [
    admittedKey(model),
    admittedBytesKey(model),
    payloadKey(model, image.hash),
    payloadHoldersKey(model, image.hash),
  ]
  const admit = defineScript(redis, 'vqAdmit', 7, admitScript(rounds))
  const release = defineScript(redis, 'vqRelease', 6, releaseScript)

  return {
    async admit(job, image, limits, { digest = null, pace = null, reusesPayload = false } = {}) {
      const now = Date.now()
      const reply = await admit([
        ...keys(job),
        answerKey(job.model, digest ?? ''),
        ...turnKeys(job),
        now,
        now + limits.payloadTtlMs,
        job.id,
        job.image.bytes,
        limits.maxJobs,
        limits.maxBytes,
        // A view, not a copy.
        image === null ? '' : Buffer.from(image.buffer, image.byteOffset, image.byteLength),
        mostAhead(job, pace, now),
        digest === null ? 0 : 1,
        reusesPayload ? 1 : 0,
        ...turnArguments(job),
      ])
      const [kind, ahead, other] = admitReplySchema.parse(reply)
      switch (kind) {
        case 1:
          return { kind: 'admitted', jobsAhead: ahead, turn: other }
        case 2:
          return { kind: 'answered', answer: cachedAnswerSchema.parse(JSON.parse(ahead)) }
        case 0: {
          const limit =
            ahead >= limits.maxJobs
              ? `${ahead} jobs wait for ${job.model}, the limit.`
              : `The images waiting for ${job.model} hold ${other} bytes; this one would pass the limit of ${limits.maxBytes}.`
          throw new VisionQueueError('queue_full', limit, { retryAfterMs: workOffMs(ahead, pace) ?? 1000 })
        }
        case 3: {
          const most = mostAhead(job, pace, now)
          const detail = `${ahead} jobs wait for ${job.model}; this one's deadline would pass before its turn.`
          throw new VisionQueueError('deadline_unmeetable', detail, {
            retryAfterMs: workOffMs(ahead - most, pace) ?? 1000,
          })
        }
        case 4:
          throw new VisionQueueError('job_not_retryable', 'The image of the job is not kept any more.')
        default:
          return kind satisfies never
      }
    },
    async release(job, keep) {
      await release([
        ...keys(job),
        keptKey(job.model),
        keptBytesKey(job.model),
        job.id,
        Date.now(),
        keep?.forMs ?? 0,
        keep?.maxBytes ?? 0,
        job.image.hash,
      ])
    },
    async depth(model) {
      const [jobs, bytes] = await Promise.all([
        redis.zcount(admittedKey(model), Date.now(), '+inf'),
        redis.hget(admittedBytesKey(model), ''),
      ])
      return { jobs, bytes: Number(bytes ?? 0) }
    },
  }
}

/** In how many milliseconds so many jobs are worked off; null where nobody knows. */
export function workOffMs(jobs: number, pace: Pace | null): number | null {
  return pace === null ? null : Math.ceil((Math.max(0, jobs) / pace.jobsPerSecond) * 1000)
}

/** The most jobs ahead with which the deadline can still be met: a job has to start by then, not to end. */
function mostAhead({ deadlineAt }: QueuedJob, pace: Pace | null, now: number): number {
  if (deadlineAt === null || pace === null) return Number.MAX_SAFE_INTEGER
  return Math.floor(((deadlineAt - now) / 1000) * pace.jobsPerSecond)
}

type ScriptArgument = string | number | Buffer

/** Registers a Lua script with the connection: sent by its hash, and whole when Redis doesn't know it yet. */
export function defineScript(
  redis: Redis,
  name: string,
  numberOfKeys: number,
  lua: string,
): (args: ScriptArgument[]) => Promise<unknown> {
  redis.defineCommand(name, { numberOfKeys, lua })
  const command: unknown = Reflect.get(redis, name)
  if (typeof command !== 'function') throw new Error(`ioredis did not define ${name}`)
  return async (args) => Reflect.apply(command, redis, args)
}
