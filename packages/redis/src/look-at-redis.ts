import { parseRedisUrl, PlainError, type RedisTarget } from '@vision-queue/process'

import { openDurableConnection } from './redis-connection.ts'
import { readRefusal } from './redis-refusal.ts'

/** What a first look at Redis has found. */
export type RedisLook =
  | { kind: 'answers' }
  /** It answers, and not us: no waiting cures that. */
  | { kind: 'locked'; sentence: string }
  /** It may come yet. */
  | { kind: 'away'; sentence: string }

/** By the codes of Redis: who is refused so is refused until somebody changes the settings. */
const lockedCodes: ReadonlySet<string> = new Set(['NOAUTH', 'WRONGPASS'])

/** Connects once, and tells what came of it in words for the person who set REDIS_URL, without the password in it. */
export async function lookAtRedis(redisUrl: string, timeoutMs: number): Promise<RedisLook> {
  const quiet = { info() {}, warn() {}, error() {} }
  const where = describeTarget(parseRedisUrl(redisUrl))
  const redis = openDurableConnection({ redisUrl, log: quiet, name: 'first-look' })
  let timer: NodeJS.Timeout | undefined
  try {
    const error = await new Promise<Error | null>((resolve) => {
      redis.once('ready', () => resolve(null))
      redis.on('error', resolve)
      timer = setTimeout(() => resolve(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    })
    if (error === null) return { kind: 'answers' }
    const refusal = readRefusal(error)
    if (refusal !== null && lockedCodes.has(refusal.code)) return { kind: 'locked', sentence: locked(where, refusal) }
    const why = refusal?.sentence ?? `Nothing answers there (${codeOf(error)}): is Redis running?`
    return { kind: 'away', sentence: `REDIS_URL: ${where}. ${why}` }
  } finally {
    clearTimeout(timer)
    redis.disconnect()
  }
}

/** Looks once. Throws PlainError where no waiting helps; logs why it has to be waited, where it has. */
export async function greetRedis(
  redisUrl: string,
  timeoutMs: number,
  log: { warn(fields: object, message: string): void },
): Promise<void> {
  const look = await lookAtRedis(redisUrl, timeoutMs)
  if (look.kind === 'locked') throw new PlainError(look.sentence)
  if (look.kind === 'away') log.warn({}, `${look.sentence} It is tried again until it does.`)
}

function locked(where: string, { code, sentence }: { code: string; sentence: string }): string {
  return (
    `REDIS_URL: ${where}. ${sentence} (${code}) ` +
    'The password belongs into the address: redis://:password@host:port, with an ACL user redis://user:password@host:port.'
  )
}

function describeTarget(target: RedisTarget): string {
  const list = (addresses: readonly { host: string; port: number }[]): string =>
    addresses.map(({ host, port }) => `${host}:${port}`).join(', ')
  switch (target.kind) {
    case 'single':
      return `Redis at ${new URL(target.url).host}`
    case 'unix':
      return `Redis at ${target.path}`
    case 'sentinel':
      return `${target.name} of the Sentinels at ${list(target.sentinels)}`
    case 'cluster':
      return `Redis Cluster at ${list(target.nodes)}`
    default:
      return target satisfies never
  }
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
