import { createHash } from 'node:crypto'

import type { Step, StepSources } from './step.ts'

/** A script in one of two forms that differ in what happens when Redis' memory is full. */
export interface TurnScript {
  readonly lua: string
  /** What EVALSHA asks for. */
  readonly sha: string
}

/** The script of some steps: one that Redis refuses writes when its memory is full, and one that it doesn't. */
export interface TurnScripts {
  readonly refusedWhenFull: TurnScript
  readonly allowedWhenFull: TurnScript
  /** The number by which a call names the step. */
  numberOf(step: string): number
  /** Throws where the step can't be sent, because there is no Lua for it or it names no key. */
  check(step: Step): void
}

/** What runs the chains of one call. `steps` is a list of functions, in the order of their numbers. */
const runner = `
local plan = cjson.decode(ARGV[1])
local chains, carries, argAt = plan[1], plan[2], 1
local posts, turn, replies = {}, {}, {}

-- A script that Redis already let write may go on writing when memory is full, whatever the next chain would add.
-- So each chain goes alone then. SETRANGE with nothing changes nothing, and is refused as a real write is.
if #chains > 1 and not allowedWhenFull then
  local tried = redis.pcall('SETRANGE', KEYS[1], 0, '')
  if type(tried) == 'table' and tried.err and string.find(tried.err, 'OOM', 1, true) then return 'full' end
end

local function run(chain, parts, out)
  for at = 1, #parts, 3 do
    local step, where, n = steps[parts[at]], parts[at + 1], parts[at + 2]
    local keys, args = {}, {}
    for i = 1, #where do keys[i] = KEYS[where[i]] end
    for i = 1, n do args[i] = ARGV[argAt + i] end
    argAt = argAt + n
    local reply, stop = step(keys, args, chain, chain.publish)
    if reply == nil then reply = false end
    out[#out + 1] = reply
    if stop then return 1 end
  end
  return 0
end

for c = 1, #chains do
  local parts, firstPost, out, nextArg = chains[c], #posts, {}, argAt
  for at = 3, #parts, 3 do nextArg = nextArg + parts[at] end
  local chain = { turn = turn, carry = carries[c] ~= cjson.null and carries[c] or nil }
  chain.publish = function(channel, json) posts[#posts + 1] = { channel, json, c } end
  local done, ended = pcall(run, chain, parts, out)
  argAt = nextArg
  if done then
    replies[c] = { ended, out, chain.carry or false }
  else
    for i = #posts, firstPost + 1, -1 do posts[i] = nil end
    local text = type(ended) == 'table' and ended.err or tostring(ended)
    -- Redis' own errors begin with their code, Lua's don't.
    if not string.find(text, '^%u+ ') then text = 'ERR ' .. text end
    replies[c] = { { err = text } }
  end
end

local channels, messages = {}, {}
for _, post in ipairs(posts) do
  if not messages[post[1]] then
    channels[#channels + 1] = post[1]
    messages[post[1]] = {}
  end
  table.insert(messages[post[1]], post)
end
for _, channel in ipairs(channels) do
  local texts = {}
  for i, post in ipairs(messages[channel]) do texts[i] = post[2] end
  local sent = redis.pcall('PUBLISH', channel, '[' .. table.concat(texts, ',') .. ']')
  if type(sent) == 'table' and sent.err then
    for _, post in ipairs(messages[channel]) do replies[post[3]] = { sent } end
  end
end
return replies`

/** Builds the script whose steps these are. */
export function buildTurnScripts(sources: StepSources): TurnScripts {
  const names = Object.keys(sources).toSorted()
  const numbers = new Map(names.map((name, index) => [name, index + 1]))
  const functions = names.map((name) => `-- ${name}\nfunction(KEYS, ARGV, chain, publish)\n${sources[name]}\nend`)
  const form = (head: string, allowed: boolean): TurnScript => {
    const lua = `${head}local allowedWhenFull = ${allowed}\nlocal steps = {\n${functions.join(',\n')}\n}\n${runner}`
    return { lua, sha: createHash('sha1').update(lua).digest('hex') }
  }
  return {
    refusedWhenFull: form('', false),
    allowedWhenFull: form('#!lua flags=allow-oom\n', true),
    numberOf: (step) => numbers.get(step) ?? 0,
    check({ name, keys }) {
      if (!numbers.has(name)) {
        throw new Error(`createTurns was given no step '${name}', but these: ${names.join(', ')}`)
      }
      if (keys.length === 0) throw new Error(`Step '${name}' names no key; the first key says where a step runs`)
    },
  }
}
