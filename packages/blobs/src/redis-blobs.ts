import { type ImageFacts, imageFactsSchema } from '@vision-queue/protocol'
import { defineScript, type RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import type { BlobAddress, Blobs } from './blobs.ts'
import { blobBytesKey, blobFactsKey, blobHoldersKey } from './keys.ts'

/*
 * Keys of each script: a blob's bytes, its facts, its holders. By Redis' own clock, so that those of processes need not
 * agree. The bytes never pass through a script: Redis' Lua hashes a string to its last byte, which for 50 KB was a
 * quarter of all the CPU that Redis spent on a job.
 */
const preamble = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function settle()
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  if not last then
    redis.call('UNLINK', KEYS[1], KEYS[2])
    return 0
  end
  redis.call('PEXPIREAT', KEYS[3], last)
  redis.call('PEXPIREAT', KEYS[2], last)
  return redis.call('PEXPIREAT', KEYS[1], last)
end
local function lapseOf(holder)
  return tonumber(redis.call('ZSCORE', KEYS[3], holder) or 0)
end`

/** In a full Redis too, as a job's end. ARGV: holder, milliseconds, facts or '', the other holder or '', its milliseconds. {stored, facts, lapse} or false. */
const holdScript = `#!lua flags=allow-oom
${preamble}
local through = ARGV[4] ~= ''
if through then
  if lapseOf(ARGV[4]) <= now or redis.call('EXISTS', KEYS[1]) == 0 then return false end
  redis.call('ZADD', KEYS[3], 'GT', now + ARGV[5], ARGV[4])
end
redis.call('ZADD', KEYS[3], 'GT', now + ARGV[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return {settle(), redis.call('GET', KEYS[2]) or '', lapseOf(through and ARGV[4] or ARGV[1])}`

/** ARGV: holder. {facts, lapse} or false. */
const findScript = `${preamble}
local lapse = lapseOf(ARGV[1])
if lapse <= now or redis.call('EXISTS', KEYS[1]) == 0 then return false end
return {redis.call('GET', KEYS[2]) or '', lapse}`

/** ARGV: holder. 1 where it held the blob. In a full Redis too, as a job's end. */
const releaseScript = `#!lua flags=allow-oom
${preamble}
local held = lapseOf(ARGV[1]) > now
redis.call('ZREM', KEYS[3], ARGV[1])
settle()
return held and 1 or 0`

const holdReplySchema = z.tuple([z.literal([0, 1]), z.string(), z.number()]).nullable()
const findReplySchema = z.tuple([z.string(), z.number()]).nullable()

/** Blobs in Redis, over a connection that is there. */
export function createRedisBlobs(redis: RedisClient): Blobs {
  const hold = defineScript(redis, 'vqHoldBlob', 3, holdScript)
  const find = defineScript(redis, 'vqFindBlob', 3, findScript)
  const release = defineScript(redis, 'vqReleaseBlob', 3, releaseScript)
  return {
    // The nodes of a Cluster keep no order among them.
    inOrder: !redis.isCluster,
    async hold(address, holder, forMs, { facts, through } = {}) {
      const said = facts === undefined ? '' : JSON.stringify(facts)
      const other = [through?.holder ?? '', through?.forMs ?? 0]
      const reply = holdReplySchema.parse(await hold([...keysOf(address), holder, forMs, said, ...other]))
      if (reply === null) return null
      const [stored, known, lapsesAt] = reply
      return { stored: stored === 1, facts: factsOf(known), lapsesAt }
    },
    async put(address, bytes, forMs) {
      // A view, not a copy.
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      await redis.set(blobBytesKey(address), view, 'PX', forMs, 'NX')
    },
    async find(address, holder) {
      const reply = findReplySchema.parse(await find([...keysOf(address), holder]))
      return reply === null ? null : { facts: factsOf(reply[0]), lapsesAt: reply[1] }
    },
    read: async (address) => redis.getBuffer(blobBytesKey(address)),
    release: async (address, holder) => (await release([...keysOf(address), holder])) === 1,
  }
}

function keysOf(address: BlobAddress): string[] {
  return [blobBytesKey(address), blobFactsKey(address), blobHoldersKey(address)]
}

function factsOf(stored: string): ImageFacts | null {
  return stored === '' ? null : imageFactsSchema.parse(JSON.parse(stored))
}
