import { parseRedisUrl, PlainError, type RedisTarget } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { Cluster, Redis, ReplyError } from 'ioredis'

import { coalesceWrites } from './coalesced-writes.ts'
import { readRefusal } from './redis-refusal.ts'
import { type ConnectionBehaviour, createClient, createSubscriberClient } from './redis-client.ts'

/** What the transport tells of itself; pino's loggers fit. */
export interface TransportLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface ConnectionOptions {
  /** In one of the forms of parseRedisUrl. */
  redisUrl: string
  log: TransportLog
  /** Shown by `CLIENT LIST`. */
  name: string
}

/** One Redis, the primary that Sentinels tell of, or all nodes of a Cluster (`isCluster`). */
export type RedisClient = Redis | Cluster

/**
 * A connection that fails fast, for callers with a person waiting: a command is refused at once
 * while Redis is away, and rejected `commandTimeoutMs` after it was sent when Redis is frozen. `fewRights`: for a
 * user who may do hardly anything but what is asked of the connection.
 */
export function openFailFastConnection(
  options: ConnectionOptions & { commandTimeoutMs: number; fewRights?: boolean },
): RedisClient {
  return watched(options, (target) => createClient(target, failFast(options)))
}

/**
 * A connection that outlasts Redis: commands wait through restarts and failovers, for consumers
 * whose finished work must not be lost. Close it with `disconnect()` where a deadline counts.
 */
export function openDurableConnection({
  silenceMs = defaultSilenceMs,
  ...options
}: ConnectionOptions & { silenceMs?: number }): RedisClient {
  const whileAway = { waits: true, commandTimeoutMs: undefined, silenceMs }
  const behaviour: ConnectionBehaviour = { name: options.name, ...whileAway, fewRights: false }
  return watched(options, (target) => createClient(target, behaviour))
}

/**
 * Longer than a blocking read may take (BullMQ's: 10 s) and than a freeze that is better sat out: whatever is
 * unanswered then is sent again on another connection.
 */
const defaultSilenceMs = 15_000

/**
 * A fail-fast connection for subscriptions, which are renewed by themselves after a reconnect. To one node
 * of a Cluster, whichever can be reached: nodes pass on to each other what is published. A connection on
 * which nothing is published would not notice that its other end is gone, so it asks.
 */
export function openSubscriber(options: ConnectionOptions & { commandTimeoutMs: number }): Redis {
  const behaviour = failFast(options)
  const subscriber = watched(options, (target) => createSubscriberClient(target, behaviour))
  const asking = setInterval(() => {
    if (subscriber.status === 'ready') subscriber.ping().catch(() => {})
  }, behaviour.silenceMs)
  asking.unref()
  subscriber.on('end', () => clearInterval(asking))
  return subscriber
}

function failFast({
  name,
  commandTimeoutMs,
  fewRights = false,
}: {
  name: string
  commandTimeoutMs: number
  fewRights?: boolean
}): ConnectionBehaviour {
  // What timed out twice over is not coming: another connection may do better, on a failover for one.
  return { name, waits: false, commandTimeoutMs, silenceMs: 2 * commandTimeoutMs + 1000, fewRights }
}

function watched<Client extends RedisClient>(
  { redisUrl, log, name }: ConnectionOptions,
  create: (target: RedisTarget) => Client,
): Client {
  const client: Client = create(parseRedisUrl(redisUrl))
  const redis: RedisClient = client
  if (redis instanceof Cluster) redis.on('+node', coalesceWrites)
  else coalesceWrites(redis)
  let reported = ''
  const report = (error: Error): void => {
    connectionErrors.set(redis, error)
    // Reconnecting once a second would otherwise fill the log with one sentence.
    if (error.message === reported) return
    reported = error.message
    log.warn({ connection: name, error: error.message }, 'Redis connection failed; reconnecting')
  }
  redis.on('error', report)
  if (redis instanceof Cluster) redis.on('node error', report)
  redis.on('ready', () => {
    connectionErrors.delete(redis)
    if (reported !== '') log.info({ connection: name }, 'Redis connection is back')
    reported = ''
  })
  return client
}

/** Why a connection is not there, as far as it is known. */
const connectionErrors = new WeakMap<RedisClient, Error>()

/**
 * Turns what ioredis and BullMQ reject with into `queue_unavailable`, whose detail says why if Redis does; our own
 * errors pass. With the connection given, it also says why there is none.
 */
export async function guarded<T>(work: Promise<T>, redis?: RedisClient): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof VisionQueueError) throw error
    const connectionError = redis === undefined || redis.status === 'ready' ? undefined : connectionErrors.get(redis)
    const refusal = readRefusal(error) ?? readRefusal(connectionError)
    const why = refusal === null ? 'The queue can not be reached at the moment.' : refusal.sentence
    throw new VisionQueueError('queue_unavailable', `${why} Send the job again.`, {
      // What a connection that isn't there rejects with says less than why it isn't.
      cause: readRefusal(error) === null && refusal !== null ? connectionError : error,
      retryAfterMs: 1000,
    })
  }
}

/**
 * What Redis does when its memory is full, where that is another thing than to refuse: under such a policy
 * accepted jobs would vanish. Null: it refuses. Asks every node of a Cluster that can be reached; reads INFO
 * rather than CONFIG, which managed services refuse.
 */
export async function readEvictionPolicy(redis: RedisClient): Promise<string | null> {
  // Also waits until the nodes of a Cluster are known. One of them that is away now is asked when it is back.
  const first = await redis.info('memory')
  const nodes = redis instanceof Cluster ? redis.nodes('all') : []
  const others = await Promise.all(nodes.map(async (node) => node.info('memory').catch(() => '')))
  const policies = [first, ...others].map((info) => /^maxmemory_policy:(\S+)/m.exec(info)?.[1])
  return policies.find((policy) => policy !== undefined && policy !== 'noeviction') ?? null
}

/** Throws unless Redis keeps what it is given (readEvictionPolicy). */
export async function assertNoEviction(redis: RedisClient): Promise<void> {
  const policy = await readEvictionPolicy(redis)
  if (policy !== null) {
    throw new PlainError(
      `Redis evicts keys when its memory is full (maxmemory-policy ${policy}), which would lose accepted jobs. ` +
        'Set it to noeviction, on every node: redis-cli config set maxmemory-policy noeviction',
    )
  }
}

/** A connection that is subscribed to channels and does nothing else. */
export type RedisSubscriber = Redis

/** Whether Redis itself has said no, as it does when its memory is full; else it is not known what became of the command. */
export function isReplyError(error: unknown): boolean {
  return error instanceof ReplyError
}

/** An error as Redis' own refusals are. */
export function createReplyError(message: string): Error {
  return new ReplyError(message)
}
