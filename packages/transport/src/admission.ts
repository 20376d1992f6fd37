import {
  admittedBytesKey,
  admittedKey,
  answerKey,
  type CachedAnswer,
  cachedAnswerSchema,
  payloadHoldersKey,
  payloadKey,
  type QueuedJob,
  VisionQueueError,
} from '@vision-queue/jobs'
import type { Redis } from 'ioredis'
import { z } from 'zod'

/** Redis' own clock, in milliseconds: those of two machines may be hours apart, and one would drop what the other holds. */
const redisNow = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** What an admitted job holds: `<bytes> <hash>`. */
const bytesOf = `local function bytesOf(id)
  return tonumber(string.match(redis.call('HGET', KEYS[2], id) or '0', '^%d+'))
end`

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits together with storing the payload, so no burst slips past it (a read-then-add gate
 * let 1,130 jobs in at a limit of 1,000). Where the answer is known already, nothing is admitted.
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders, the
 * answer that would do. The bytes are kept with the payload's hash, for orphan-sweep.ts. A payload lives while a job holds it; a resubmitted id keeps its place.
 */
const admitScript = `${bytesOf}
local answer = ARGV[8] == '1' and redis.call('GET', KEYS[5])
if answer then return {2, answer, 0} end
${redisNow}
local id, bytes = ARGV[2], tonumber(ARGV[3])
local lapse = string.format('%.0f', now + ARGV[1])
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HINCRBY', KEYS[2], '', 0 - bytesOf(lapsed))
  redis.call('HDEL', KEYS[2], lapsed)
  redis.call('ZREM', KEYS[1], lapsed)
end
local jobs = redis.call('ZCARD', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if not redis.call('ZSCORE', KEYS[1], id) then
  if jobs >= tonumber(ARGV[4]) or held + bytes > tonumber(ARGV[5]) then return {0, jobs, held} end
  if jobs > tonumber(ARGV[7]) then return {3, jobs, held} end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes .. ' ' .. ARGV[9])
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
if ARGV[6] ~= '' and redis.call('PEXPIREAT', KEYS[3], lapse) == 0 then
  redis.call('SET', KEYS[3], ARGV[6], 'PXAT', lapse)
end
redis.call('ZADD', KEYS[4], lapse, id)
redis.call('PEXPIREAT', KEYS[4], lapse)
return {1, jobs, held}`

/** Gives an admission back, in a full Redis too; the payload goes ARGV[2] ms after its last holder. Safe to repeat. */
const releaseScript = `#!lua flags=allow-oom
${bytesOf}
${redisNow}
local held = bytesOf(ARGV[1])
if held > 0 then redis.call('HINCRBY', KEYS[2], '', -held) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
if redis.call('ZCARD', KEYS[4]) == 0 then
  if tonumber(ARGV[2]) > 0 then redis.call('PEXPIRE', KEYS[3], ARGV[2]) else redis.call('UNLINK', KEYS[3]) end
end
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
  /** Null, the default, while unknown: then no deadline is held against it. */
  pace: Pace | null
}

export type Admittance = { kind: 'admitted'; jobsAhead: number } | { kind: 'answered'; answer: CachedAnswer }

/** What an admission is known by. */
export type AdmittedJob = Pick<QueuedJob, 'id' | 'model'> & { image: Pick<QueuedJob['image'], 'hash'> }

export interface Admission {
  /**
   * Rejects with `queue_full` and, where the jobs ahead would take longer than the job's deadline allows, with
   * `deadline_unmeetable`. `image` is null where the payload is in Redis already and kept by somebody else.
   */
  admit(
    job: QueuedJob,
    image: Uint8Array | null,
    limits: AdmissionLimits,
    options?: Partial<AdmitOptions>,
  ): Promise<Admittance>
  release(job: AdmittedJob, keepPayloadMs: number): Promise<void>
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

const admitReplySchema = z.union([
  z.tuple([z.literal(2), z.string(), z.number()]),
  z.tuple([z.literal([0, 1, 3]), z.number(), z.number()]),
])

export function createAdmission(redis: Redis): Admission {
  const keys = ({ model, image }: Pick<AdmittedJob, 'model' | 'image'>): string[] => [
    admittedKey(model),
    admittedBytesKey(model),
    payloadKey(model, image.hash),
    payloadHoldersKey(model, image.hash),
  ]
  const admit = defineScript(redis, 'vqAdmit', 5, admitScript)
  const release = defineScript(redis, 'vqRelease', 4, releaseScript)

  return {
    async admit(job, image, limits, { digest = null, pace = null } = {}) {
      const now = Date.now()
      const reply = await admit([
        ...keys(job),
        answerKey(job.model, digest ?? ''),
        limits.payloadTtlMs,
        job.id,
        job.image.bytes,
        limits.maxJobs,
        limits.maxBytes,
        // A view, not a copy.
        image === null ? '' : Buffer.from(image.buffer, image.byteOffset, image.byteLength),
        mostAhead(job, pace, now),
        digest === null ? 0 : 1,
        job.image.hash,
      ])
      const [kind, ahead, bytes] = admitReplySchema.parse(reply)
      switch (kind) {
        case 1:
          return { kind: 'admitted', jobsAhead: ahead }
        case 2:
          return { kind: 'answered', answer: cachedAnswerSchema.parse(JSON.parse(ahead)) }
        case 0: {
          const limit =
            ahead >= limits.maxJobs
              ? `${ahead} jobs wait for ${job.model}, the limit.`
              : `The images waiting for ${job.model} hold ${bytes} bytes; this one would pass the limit of ${limits.maxBytes}.`
          throw new VisionQueueError('queue_full', limit, { retryAfterMs: workOffMs(ahead, pace) ?? 1000 })
        }
        case 3: {
          const most = mostAhead(job, pace, now)
          const detail = `${ahead} jobs wait for ${job.model}; this one's deadline would pass before its turn.`
          throw new VisionQueueError('deadline_unmeetable', detail, {
            retryAfterMs: workOffMs(ahead - most, pace) ?? 1000,
          })
        }
        default:
          return kind satisfies never
      }
    },
    async release(job, keepPayloadMs) {
      await release([...keys(job), job.id, keepPayloadMs])
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
