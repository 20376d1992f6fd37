import type { Step, StepSources } from '@vision-queue/bullmq-batching'
import type { ImageFacts } from '@vision-queue/protocol'

import type { BlobAddress, HoldOptions } from './blobs.ts'
import { blobBytesKey, blobFactsKey, blobHoldersKey } from './keys.ts'

/** Redis' clock, read once for all steps of a chain: those of processes need not agree. */
export const nowLua = `
local now = chain.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  chain.now = now
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
  // ARGV: holder, milliseconds, facts or '', the other holder or '', its milliseconds, whether the chain ends where the
  // bytes are missing. {stored, facts, lapse, holders} or false.
  'blob:hold': `${preamble}
local through = ARGV[4] ~= ''
if through then
  if lapseOf(ARGV[4]) <= now or redis.call('EXISTS', KEYS[1]) == 0 then return false end
  redis.call('ZADD', KEYS[3], 'GT', now + ARGV[5], ARGV[4])
end
redis.call('ZADD', KEYS[3], 'GT', now + ARGV[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
local stored = settle()
local lapse = lapseOf(through and ARGV[4] or ARGV[1])
local reply = {stored, redis.call('GET', KEYS[2]) or '', lapse, redis.call('ZCARD', KEYS[3])}
return reply, ARGV[6] == 'must' and stored == 0`,
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

/** `must`: the chain ends here where the bytes are missing. */
export function holdStep(
  address: BlobAddress,
  holder: string,
  forMs: number,
  { facts, through, must = false }: HoldOptions & { must?: boolean } = {},
): Step {
  const said: ImageFacts | undefined = facts
  const args = [holder, forMs, said === undefined ? '' : JSON.stringify(said), through?.holder ?? '']
  return { name: 'blob:hold', keys: keysOf(address), args: [...args, through?.forMs ?? 0, must ? 'must' : ''] }
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

/** The command that puts bytes which are there for `forMs`, unless they are there already. */
export function putCommand(
  address: BlobAddress,
  bytes: Uint8Array,
  forMs: number,
): readonly ['SET', string, Buffer, 'PX', number, 'NX'] {
  // A view, not a copy.
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return ['SET', blobBytesKey(address), view, 'PX', forMs, 'NX']
}

function keysOf(address: BlobAddress): string[] {
  return [blobBytesKey(address), blobFactsKey(address), blobHoldersKey(address)]
}
