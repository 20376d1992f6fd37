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

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits, so no burst slips past it (a read-then-add gate let 1,130 jobs in at a limit of 1,000).
 * Where the answer is known already, nothing is admitted. The payload itself follows only where it isn't
 * there yet, and never through the script: Redis' Lua hashes a string to its last byte, which for 50 KB
 * was a quarter of all the CPU that Redis spent on a job.
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders, the
 * answer that would do. A payload lives while a job holds it; a resubmitted id keeps its place.
 */
const admitScript = `
local answer = ARGV[8] == '1' and redis.call('GET', KEYS[5])
if answer then return {2, answer, 0} end
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
  if jobs > tonumber(ARGV[7]) then return {3, jobs, held} end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes)
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
redis.call('ZADD', KEYS[4], lapse, id)
redis.call('PEXPIREAT', KEYS[4], lapse)
return {1, jobs, redis.call('PEXPIREAT', KEYS[3], lapse)}`

/** Gives an admission back; the payload goes ARGV[3] ms after its last holder. Safe to repeat. */
const releaseScript = `
local bytes = redis.call('HGET', KEYS[2], ARGV[1])
if bytes then
  redis.call('HINCRBY', KEYS[2], '', -tonumber(bytes))
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
if redis.call('ZCARD', KEYS[4]) == 0 then
  if tonumber(ARGV[3]) > 0 then redis.call('PEXPIRE', KEYS[3], ARGV[3]) else redis.call('UNLINK', KEYS[3]) end
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

/** `stored`: the payload is in Redis already, and stays for this job too. */
export type Admittance =
  | { kind: 'admitted'; jobsAhead: number; stored: boolean }
  | { kind: 'answered'; answer: CachedAnswer }

export interface Admission {
  /**
   * Rejects with `queue_full` and, where the jobs ahead would take longer than the job's deadline allows, with
   * `deadline_unmeetable`.
   */
  admit(job: QueuedJob, limits: AdmissionLimits, options?: Partial<AdmitOptions>): Promise<Admittance>
  /** Stores the payload of an admitted job, to be there before the job is queued. */
  store(job: QueuedJob, image: Uint8Array, limits: AdmissionLimits): Promise<void>
  release(job: Pick<QueuedJob, 'id' | 'model' | 'image'>, keepPayloadMs: number): Promise<void>
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

const admitReplySchema = z.union([
  z.tuple([z.literal(2), z.string(), z.number()]),
  z.tuple([z.literal([0, 1, 3]), z.number(), z.number()]),
])

export function createAdmission(redis: Redis): Admission {
  const keys = ({ model, image }: Pick<QueuedJob, 'model' | 'image'>): string[] => [
    admittedKey(model),
    admittedBytesKey(model),
    payloadKey(model, image.hash),
    payloadHoldersKey(model, image.hash),
  ]
  const admit = defineScript(redis, 'vqAdmit', 5, admitScript)
  const release = defineScript(redis, 'vqRelease', 4, releaseScript)

  return {
    async admit(job, limits, { digest = null, pace = null } = {}) {
      const now = Date.now()
      const reply = await admit([
        ...keys(job),
        answerKey(job.model, digest ?? ''),
        now,
        now + limits.payloadTtlMs,
        job.id,
        job.image.bytes,
        limits.maxJobs,
        limits.maxBytes,
        mostAhead(job, pace, now),
        digest === null ? 0 : 1,
      ])
      const [kind, ahead, bytes] = admitReplySchema.parse(reply)
      switch (kind) {
        case 1:
          return { kind: 'admitted', jobsAhead: ahead, stored: bytes === 1 }
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
    async store(job, image, limits) {
      // A view, not a copy.
      const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
      await redis.set(payloadKey(job.model, job.image.hash), bytes, 'PX', limits.payloadTtlMs)
    },
    async release(job, keepPayloadMs) {
      await release([...keys(job), job.id, Date.now(), keepPayloadMs])
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
