import {
  admittedBytesKey,
  admittedKey,
  payloadHoldersKey,
  payloadKey,
  type QueuedJob,
  VisionQueueError,
} from '@vision-queue/jobs'
import type { Redis } from 'ioredis'
import { z } from 'zod'

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits together with storing the payload, so no burst slips past it (a read-then-add gate
 * let 1,130 jobs in at a limit of 1,000).
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders.
 * A payload lives while a job holds it; a resubmitted id keeps its place.
 */
const admitScript = `
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
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes)
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
if ARGV[7] ~= '' and redis.call('PEXPIREAT', KEYS[3], lapse) == 0 then
  redis.call('SET', KEYS[3], ARGV[7], 'PXAT', lapse)
end
redis.call('ZADD', KEYS[4], lapse, id)
redis.call('PEXPIREAT', KEYS[4], lapse)
return {1, jobs, held}`

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

export interface Admission {
  /**
   * Resolves to the number of unfinished jobs of the model before this one; rejects with `queue_full`. `image` is
   * null where it is stored already and kept by somebody else; its bytes count nevertheless.
   */
  admit(job: QueuedJob, image: Uint8Array | null, limits: AdmissionLimits): Promise<number>
  release(job: Pick<QueuedJob, 'id' | 'model' | 'image'>, keepPayloadMs: number): Promise<void>
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

const replySchema = z.tuple([z.number(), z.number(), z.number()])

export function createAdmission(redis: Redis): Admission {
  const keys = ({ model, image }: Pick<QueuedJob, 'model' | 'image'>): string[] => [
    admittedKey(model),
    admittedBytesKey(model),
    payloadKey(model, image.hash),
    payloadHoldersKey(model, image.hash),
  ]
  const admit = defineScript(redis, 'vqAdmit', 4, admitScript)
  const release = defineScript(redis, 'vqRelease', 4, releaseScript)

  return {
    async admit(job, image, limits) {
      const now = Date.now()
      const reply = await admit([
        ...keys(job),
        now,
        now + limits.payloadTtlMs,
        job.id,
        job.image.bytes,
        limits.maxJobs,
        limits.maxBytes,
        // A view, not a copy.
        image === null ? '' : Buffer.from(image.buffer, image.byteOffset, image.byteLength),
      ])
      const [admitted, jobs, bytes] = replySchema.parse(reply)
      if (admitted === 1) return jobs
      const limit =
        jobs >= limits.maxJobs
          ? `${jobs} jobs wait for ${job.model}, the limit.`
          : `The images waiting for ${job.model} hold ${bytes} bytes; this one would pass the limit of ${limits.maxBytes}.`
      throw new VisionQueueError('queue_full', limit, { retryAfterMs: 1000 })
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
