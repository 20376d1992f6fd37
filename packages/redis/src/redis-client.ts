import type { RedisAddress, RedisTarget } from '@vision-queue/process'
import { Cluster, type CommonRedisOptions, Redis } from 'ioredis'

/** Without what would change the shapes of replies. */
type Plain<Options> = Omit<Options, 'replyMapping'>

/** How a connection bears it that Redis is away. */
export interface ConnectionBehaviour {
  name: string
  /** Whether commands wait until Redis is back, or are refused at once. */
  waits: boolean
  /** Commands not answered by then are rejected; undefined: never. */
  commandTimeoutMs: number | undefined
  /**
   * A connection that answers nothing for so long while commands wait is cut and opened anew: its other end
   * may have vanished without a word (a lost host, a partition), which TCP itself notices after minutes.
   */
  silenceMs: number
  /**
   * For a user who may hardly do anything: Redis is not asked by INFO, after each connect, if it has loaded its data, so
   * that it may refuse for that; nor is it told which library this is.
   */
  fewRights: boolean
}

/** Opens a client to what REDIS_URL names. */
export function createClient(target: RedisTarget, behaviour: ConnectionBehaviour): Redis | Cluster {
  if (target.kind !== 'cluster') return createSingle(target, behaviour)
  const { username, password, tls, nodes } = target
  return new Cluster(nodes, {
    enableOfflineQueue: behaviour.waits,
    enableReadyCheck: !behaviour.fewRights,
    clusterRetryStrategy: retryDelayMs,
    // One every 0.1 s while a slot's node is away. Those that don't wait are ended by their own timeout.
    maxRedirections: behaviour.waits ? Number.MAX_SAFE_INTEGER : 16,
    // Under TLS nodes are announced by the names that stand in their certificates.
    ...(tls ? { dnsLookup: (address, done) => done(null, address) } : {}),
    redisOptions: { ...sharedOptions(behaviour), ...credentials({ username, password }), ...(tls ? { tls: {} } : {}) },
  })
}

/** A plain connection, to one node where the target is a Cluster: to the next of the URL after each failure. */
export function createSubscriberClient(target: RedisTarget, behaviour: ConnectionBehaviour): Redis {
  if (target.kind !== 'cluster') return createSingle(target, behaviour)
  const { username, password, tls, nodes } = target
  // API processes that start together spread over the nodes.
  const start = Math.floor(Math.random() * nodes.length)
  const nodeAt = (turn: number): RedisAddress =>
    nodes[(start + turn) % nodes.length] ?? { host: '127.0.0.1', port: 6379 }
  let turn = 0
  const redis: Redis = new Redis({
    ...singleOptions(behaviour),
    ...nodeAt(0),
    ...credentials({ username, password }),
    ...(tls ? { tls: {} } : {}),
    retryStrategy: (attempt: number) => {
      turn += 1
      // Read by ioredis at each connect.
      Object.assign(redis.options, nodeAt(turn))
      return retryDelayMs(attempt)
    },
  })
  return redis
}

function createSingle(target: Exclude<RedisTarget, { kind: 'cluster' }>, behaviour: ConnectionBehaviour): Redis {
  const options = singleOptions(behaviour)
  if (target.kind === 'single') return new Redis(target.url, options)
  if (target.kind === 'unix') {
    return new Redis({ ...options, path: target.path, db: target.db, ...credentials(target) })
  }
  const { sentinels, name, db, tls, sentinelCredentials, ...own } = target
  return new Redis({
    ...options,
    sentinels,
    name,
    // Hears of a failover from the Sentinels, where the old primary is too dead to end its connections.
    failoverDetector: true,
    sentinelRetryStrategy: retryDelayMs,
    sentinelReconnectStrategy: retryDelayMs,
    sentinelCommandTimeout: 1000,
    ...(sentinelCredentials.username === null ? {} : { sentinelUsername: sentinelCredentials.username }),
    ...(sentinelCredentials.password === null ? {} : { sentinelPassword: sentinelCredentials.password }),
    ...(tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
    ...credentials(own),
    db,
  })
}

function singleOptions(behaviour: ConnectionBehaviour): Plain<CommonRedisOptions> {
  return {
    ...sharedOptions(behaviour),
    enableOfflineQueue: behaviour.waits,
    retryStrategy: retryDelayMs,
    // A primary that became a replica. What waits is sent again to the new one.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? (behaviour.waits ? 2 : 1) : false),
  }
}

function sharedOptions({ name, waits, commandTimeoutMs, silenceMs, fewRights }: ConnectionBehaviour) {
  return {
    connectionName: `vision-queue-${name}`,
    socketTimeout: silenceMs,
    enableReadyCheck: !fewRights,
    disableClientInfo: fewRights,
    // Ends connections that are idle, too, when their other end is gone.
    keepAlive: 10_000,
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs, connectTimeout: commandTimeoutMs }),
    // A command whose connection broke is rejected, not sent again, where somebody waits: it may have taken effect.
    autoResendUnfulfilledCommands: waits,
    maxRetriesPerRequest: waits ? null : 0,
  } satisfies Plain<CommonRedisOptions>
}

function credentials({ username, password }: { username: string | null; password: string | null }) {
  return { ...(username === null ? {} : { username }), ...(password === null ? {} : { password }) }
}

function retryDelayMs(attempt: number): number {
  return Math.min(50 * attempt, 1000)
}
