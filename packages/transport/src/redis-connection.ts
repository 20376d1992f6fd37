import { VisionQueueError } from '@vision-queue/jobs'
import { Redis, type RedisOptions } from 'ioredis'

import { coalesceWrites } from './coalesced-writes.ts'

/** What the transport tells of itself; pino's loggers fit. */
export interface TransportLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ConnectionOptions {
  redisUrl: string
  log: TransportLog
  /** Shown by `CLIENT LIST`. */
  name: string
}

/**
 * A connection that fails fast, for callers with a person waiting: a command is refused at once
 * while Redis is away, and rejected `commandTimeoutMs` after it was sent when Redis is frozen.
 */
export function openFailFastConnection(options: ConnectionOptions & { commandTimeoutMs: number }): Redis {
  return open(options, {
    commandTimeout: options.commandTimeoutMs,
    connectTimeout: options.commandTimeoutMs,
    enableOfflineQueue: false,
    // A command whose connection broke is rejected, not sent again: it may have taken effect.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  })
}

/**
 * A connection that outlasts Redis: commands wait through restarts and failovers, for consumers
 * whose finished work must not be lost. Close it with `disconnect()` where a deadline counts.
 */
export function openDurableConnection(options: ConnectionOptions): Redis {
  return open(options, { maxRetriesPerRequest: null })
}

/** A fail-fast connection for subscriptions, which are renewed by themselves after a reconnect. */
export function openSubscriber(options: ConnectionOptions & { commandTimeoutMs: number }): Redis {
  return openFailFastConnection(options)
}

function open({ redisUrl, log, name }: ConnectionOptions, options: Omit<RedisOptions, 'replyMapping'>): Redis {
  const redis = new Redis(redisUrl, {
    connectionName: `vision-queue-${name}`,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1000),
    ...options,
  })
  coalesceWrites(redis)
  let reported = ''
  redis.on('error', (error: Error) => {
    // Reconnecting once a second would otherwise fill the log with one sentence.
    if (error.message === reported) return
    reported = error.message
    log.warn({ connection: name, error: error.message }, 'Redis connection failed; reconnecting')
  })
  redis.on('ready', () => {
    if (reported !== '') log.info({ connection: name }, 'Redis connection is back')
    reported = ''
  })
  return redis
}

/** Turns what ioredis and BullMQ reject with into `queue_unavailable`; our own errors pass. */
export async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof VisionQueueError) throw error
    throw new VisionQueueError('queue_unavailable', 'The queue can not be reached at the moment. Send the job again.', {
      cause: error,
      retryAfterMs: 1000,
    })
  }
}

/** How Redis chooses what to forget when its memory is full; null where it refuses instead, or doesn't say. */
export async function evictionPolicy(redis: Redis): Promise<string | null> {
  // INFO rather than CONFIG, which managed services refuse.
  const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1]
  return policy === undefined || policy === 'noeviction' ? null : policy
}

/** Throws unless Redis keeps what it is given: under an evicting policy accepted jobs would vanish. */
export async function assertNoEviction(redis: Redis): Promise<void> {
  const policy = await evictionPolicy(redis)
  if (policy !== null) {
    throw new Error(
      `Redis evicts keys when its memory is full (maxmemory-policy ${policy}), which would lose accepted jobs. ` +
        'Set it to noeviction: redis-cli config set maxmemory-policy noeviction',
    )
  }
}
