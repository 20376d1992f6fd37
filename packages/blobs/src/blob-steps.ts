import type { Step, StepSources } from '@vision-queue/bullmq-batching'

import type { BlobAddress, HoldOptions } from './blobs.ts'
import { blobBytesKey, blobFactsKey, blobHoldersKey } from './keys.ts'

/** Redis' clock, read once for all steps of a call: those of processes need not agree. */
export const nowLua = `
local now = chain.turn.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  chain.turn.now = now
end`

/*
 * Keys of each step: a blob's bytes, its facts, its holders. The bytes never pass through a script: Redis' Lua hashes a
 * string to its last byte, which for 50 KB was a quarter of all the CPU that Redis spent on a job.
 */
const preamble = `${nowLua}
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

/** The Lua of what is done with blobs, by the names of its steps. */
export const blobSteps: StepSources = {
  // ARGV: holder, milliseconds, facts or '', the other holder or '', its milliseconds. {stored, facts, lapse} or false.
  'blob:hold': `${preamble}
local through = ARGV[4] ~= ''
if through then
  if lapseOf(ARGV[4]) <= now or redis.call('EXISTS', KEYS[1]) == 0 then return false end
  redis.call('ZADD', KEYS[3], 'GT', now + ARGV[5], ARGV[4])
end
redis.call('ZADD', KEYS[3], 'GT', now + ARGV[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
return {settle(), redis.call('GET', KEYS[2]) or '', lapseOf(through and ARGV[4] or ARGV[1])}`,
  // The chain ends here where the bytes are missing; the blob is held all the same. ARGV: holder, milliseconds.
  // {stored, holders}.
  'blob:need': `${nowLua}
redis.call('ZADD', KEYS[3], 'GT', now + ARGV[2], ARGV[1])
local holders, last = redis.call('ZCARD', KEYS[3]), now + ARGV[2]
if holders > 1 then
  last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[2], last)
end
redis.call('PEXPIREAT', KEYS[3], last)
local stored = redis.call('PEXPIREAT', KEYS[1], last)
return {stored, holders}, stored == 0`,
  // ARGV: holder. {facts, lapse} or false.
  'blob:find': `${preamble}
local lapse = lapseOf(ARGV[1])
if lapse <= now or redis.call('EXISTS', KEYS[1]) == 0 then return false end
return {redis.call('GET', KEYS[2]) or '', lapse}`,
  // ARGV: holder. 1 where it held the blob.
  'blob:release': `${preamble}
local held = lapseOf(ARGV[1]) > now
redis.call('ZREM', KEYS[3], ARGV[1])
settle()
return held and 1 or 0`,
}

export function holdStep(
  address: BlobAddress,
  holder: string,
  forMs: number,
  { facts, through }: HoldOptions = {},
): Step {
  const said = facts === undefined ? '' : JSON.stringify(facts)
  const args = [holder, forMs, said, through?.holder ?? '', through?.forMs ?? 0]
  return { name: 'blob:hold', keys: keysOf(address), args }
}

/** Holds a blob whose bytes must be there for the chain to go on; `readNeeded` reads what it replies. */
export const needStep = (address: BlobAddress, holder: string, forMs: number): Step => ({
  name: 'blob:need',
  keys: keysOf(address),
  args: [holder, forMs],
})

/** How many hold the blob. */
export function readNeeded(reply: unknown): { holders: number } {
  const holders: unknown = Array.isArray(reply) ? reply[1] : 0
  return { holders: typeof holders === 'number' ? holders : 0 }
}

export const findStep = (address: BlobAddress, holder: string): Step => ({
  name: 'blob:find',
  keys: keysOf(address),
  args: [holder],
})

/** Ends a hold; bytes that nobody holds are gone then, whoever has put them. */
export const releaseStep = (address: BlobAddress, holder: string): Step => ({
  name: 'blob:release',
  keys: keysOf(address),
  args: [holder],
})

/** The command that puts a blob's value, its bytes or where they are, which is there for `forMs`, unless one is there already. */
export function putCommand(
  address: BlobAddress,
  value: Uint8Array,
  forMs: number,
): readonly ['SET', string, Buffer, 'PX', number, 'NX'] {
  // A view, not a copy.
  const view = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return ['SET', blobBytesKey(address), view, 'PX', forMs, 'NX']
}

function keysOf(address: BlobAddress): string[] {
  return [blobBytesKey(address), blobFactsKey(address), blobHoldersKey(address)]
}
