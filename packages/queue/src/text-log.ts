import { defineScript, parseJson, type RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import type { JobChange } from './job-change.ts'
import { jobChannel, textKey } from './keys.ts'
import type { TextPiece } from './text-piece.ts'

/*
 * The pieces of an answer on its way: a list in Redis that has the name of the run first and then each piece, for
 * readers that come late, resume or had lost their connection. A run is one try at the text by one consumer: the same
 * piece number of two runs may stand for different texts.
 */

/**
 * Appends the piece unless it is there already, as after a reconnect that sent the command again, and publishes it.
 * The first piece of a run replaces the log of an earlier one. Replies are named, as the count of listeners is one.
 */
const appendScript = `
local count = redis.call('LLEN', KEYS[1])
local run = redis.call('LINDEX', KEYS[1], 0)
local again = run == ARGV[1] and count == ARGV[2] + 2 and redis.call('LINDEX', KEYS[1], -1) == ARGV[3]
if not again then
  if ARGV[2] == '0' then
    redis.call('DEL', KEYS[1])
    redis.call('RPUSH', KEYS[1], ARGV[1], ARGV[3])
  elseif run and run ~= ARGV[1] then
    return {'replaced', 0}
  elseif count ~= ARGV[2] + 1 then
    return {'lost', 0}
  else
    redis.call('RPUSH', KEYS[1], ARGV[3])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'appended', redis.call('PUBLISH', ARGV[5], ARGV[6])}`

const appendReplySchema = z.tuple([z.enum(['appended', 'lost', 'replaced']), z.int()])
const pieceSchema = z.tuple([z.int().min(0), z.string()])

/** What became of a piece: `lost` if the log of the run is gone, `replaced` if another run has taken its place. */
export interface Appended {
  outcome: 'appended' | 'lost' | 'replaced'
  /** How many listen, as far as that can be told (a node of a Cluster counts its own listeners only); null: unknown. */
  listeners: number | null
}

/** The logs of texts, for the consumer that runs the jobs. */
export interface TextLog {
  /** Keeps the piece for `forMs` from now, and tells those who listen. */
  append(id: string, piece: TextPiece, at: { run: string; number: number; forMs: number }): Promise<Appended>
  /** Keeps what is there for `forMs` from now. */
  keepFor(id: string, forMs: number): Promise<void>
  /** How many listen to the job; null: unknown, as on a Cluster. */
  countListeners(id: string): Promise<number | null>
}

const listenersReplySchema = z.tuple([z.string(), z.coerce.number()])

export function createTextLog(redis: RedisClient): TextLog {
  const appendPiece = defineScript(redis, 'vqAppendText', 1, appendScript)
  return {
    async append(id, piece, { run, number, forMs }) {
      const change: JobChange = { kind: 'piece', run, number, ...piece }
      const stored = JSON.stringify([piece.index, piece.text])
      const args = [textKey(id), run, number, stored, forMs, jobChannel(id), JSON.stringify(change)]
      const [outcome, listeners] = appendReplySchema.parse(await appendPiece(args))
      return { outcome, listeners: redis.isCluster ? null : listeners }
    },
    async keepFor(id, forMs) {
      await redis.pexpire(textKey(id), forMs)
    },
    async countListeners(id) {
      if (redis.isCluster) return null
      return listenersReplySchema.parse(await redis.pubsub('NUMSUB', jobChannel(id)))[1]
    },
  }
}

/** What a log holds: the pieces of one run, in order. */
export interface LoggedText {
  run: string
  pieces: TextPiece[]
}

/** The text of a job as far as it was told; null if there is none, or none any more. */
export async function readLoggedText(redis: RedisClient, id: string): Promise<LoggedText | null> {
  const [run, ...stored] = await redis.lrange(textKey(id), 0, -1)
  if (run === undefined) return null
  const pieces = stored.map((piece) => {
    const [index, text] = pieceSchema.parse(parseJson(piece))
    return { index, text }
  })
  return { run, pieces }
}
