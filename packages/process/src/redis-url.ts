/** An address of one Redis, Sentinel or node of a Cluster. */
export interface RedisAddress {
  host: string
  port: number
}

interface Credentials {
  /** Null: the default user. */
  username: string | null
  password: string | null
}

/** What REDIS_URL names: one Redis, the primary that Sentinels tell of, or a Cluster. */
export type RedisTarget =
  | { kind: 'single'; url: string }
  /** One Redis on this machine, by its Unix socket. */
  | ({ kind: 'unix'; path: string; db: number } & Credentials)
  | ({
      kind: 'sentinel'
      sentinels: RedisAddress[]
      /** What the Sentinels call the primary and its replicas. */
      name: string
      db: number
      /** For the Sentinels and for Redis alike. */
      tls: boolean
      /** Of the Sentinels, where they ask for them. */
      sentinelCredentials: Credentials
    } & Credentials)
  | ({ kind: 'cluster'; nodes: RedisAddress[]; tls: boolean } & Credentials)

/** The forms, for messages and documentation. */
export const redisUrlForms =
  'redis://[user:password@]host:port[/db], redis+unix://[user:password@localhost]/path/of/socket[?db=0], redis+sentinel://[user:password@]host:port,host:port/name[/db] or ' +
  'redis+cluster://[user:password@]host:port,host:port, each but redis+unix with rediss for TLS'

/**
 * Reads a REDIS_URL. User and password are those of Redis, percent-encoded; the Sentinels' own come as
 * `?sentinelUsername=` and `?sentinelPassword=`. Throws an Error that says what was expected and never
 * repeats the URL, for it may hold a password.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme = '', topology = '', authority = '', path = '', query = ''] =
    /^(rediss?)(\+[a-z]+)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url) ?? []
  const tls = scheme === 'rediss'
  switch (topology) {
    case '': {
      if (scheme !== '' && authority.includes(',')) {
        throw new Error('expected one host; several need redis+sentinel:// or redis+cluster://')
      }
      if (scheme === '' || !URL.canParse(url)) throw new Error(`expected ${redisUrlForms}`)
      return { kind: 'single', url }
    }
    case '+unix': {
      if (tls) throw new Error('expected redis+unix: there is no TLS on a Unix socket')
      if (path === '') throw new Error('expected the path of the socket: redis+unix:///run/redis.sock')
      const [, user = '', host = ''] = /^(?:(.*)@)?(.*)$/.exec(authority) ?? []
      if (host !== '' && host !== 'localhost') throw new Error('expected no host or localhost: redis+unix:///path')
      const db = new URLSearchParams(query).get('db') ?? '0'
      if (!/^\d+$/.test(db)) throw new Error('expected ?db= with a number')
      return { kind: 'unix', path: `/${decode(path)}`, db: Number(db), ...readCredentials(user) }
    }
    case '+sentinel': {
      const [name = '', db = '0', ...rest] = path.split('/').map(decode)
      if (name === '') throw new Error('expected the name of the primary after the Sentinels: .../mymaster')
      if (!/^\d+$/.test(db) || rest.length > 0) throw new Error('expected .../name or .../name/db, db a number')
      const { username, password, addresses } = readAuthority(authority, 26_379)
      const own = new URLSearchParams(query)
      const sentinelCredentials = { username: own.get('sentinelUsername'), password: own.get('sentinelPassword') }
      return {
        kind: 'sentinel',
        sentinels: addresses,
        name,
        db: Number(db),
        tls,
        username,
        password,
        sentinelCredentials,
      }
    }
    case '+cluster': {
      if (path !== '' && path !== '0') throw new Error('expected no database: a Redis Cluster has only number 0')
      const { username, password, addresses } = readAuthority(authority, 6379)
      return { kind: 'cluster', nodes: addresses, tls, username, password }
    }
    default:
      throw new Error(`expected ${redisUrlForms}`)
  }
}

function readAuthority(text: string, defaultPort: number): Credentials & { addresses: RedisAddress[] } {
  const at = text.lastIndexOf('@')
  return {
    ...readCredentials(text.slice(0, Math.max(0, at))),
    addresses: text
      .slice(at + 1)
      .split(',')
      .map((address) => readAddress(address, defaultPort)),
  }
}

function readCredentials(text: string): Credentials {
  const [user = '', ...rest] = text.split(':')
  const password = rest.join(':')
  return { username: user === '' ? null : decode(user), password: password === '' ? null : decode(password) }
}

function readAddress(text: string, defaultPort: number): RedisAddress {
  const [, bracketed, plain, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+))(?::(\d+))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error('expected hosts separated by commas, each host or host:port, the port from 1 to 65535')
  }
  return { host, port }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('expected user, password and name percent-encoded')
  }
}
