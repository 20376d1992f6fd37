import { expect, test } from 'vitest'

import { parseRedisUrl } from './redis-url.ts'
import { redisUrlSetting } from './settings.ts'

const nobody = { username: null, password: null }

test.each(['redis://127.0.0.1:6379', 'rediss://user:p%40ss@redis.example:6380/2', 'redis://[::1]:6379'])(
  '%s is one Redis, handed on as it is',
  (url) => {
    expect(parseRedisUrl(url)).toEqual({ kind: 'single', url })
  },
)

test('a Unix socket is named by its path, percent-encoded', () => {
  const url = 'redis+unix://app:p%40ss@localhost/a%20folder/redis.sock?db=2'
  expect(parseRedisUrl(url)).toEqual({
    kind: 'unix',
    path: '/a folder/redis.sock',
    db: 2,
    username: 'app',
    password: 'p@ss',
  })
  expect(parseRedisUrl('redis+unix:///run/redis.sock')).toEqual({
    kind: 'unix',
    path: '/run/redis.sock',
    db: 0,
    ...nobody,
  })
})

test('Sentinels are listed, with the name of what they watch; ports may be left out', () => {
  expect(parseRedisUrl('redis+sentinel://one:26380,two,[::1]:5/mymaster')).toEqual({
    kind: 'sentinel',
    sentinels: [
      { host: 'one', port: 26_380 },
      { host: 'two', port: 26_379 },
      { host: '::1', port: 5 },
    ],
    name: 'mymaster',
    db: 0,
    tls: false,
    ...nobody,
    sentinelCredentials: nobody,
  })
})

test('Redis and its Sentinels have credentials of their own, percent-encoded', () => {
  const url = 'rediss+sentinel://app:p%40%3Ass@one/mymaster/3?sentinelUsername=watch&sentinelPassword=s%26s'
  expect(parseRedisUrl(url)).toMatchObject({
    tls: true,
    db: 3,
    username: 'app',
    password: 'p@:ss',
    sentinelCredentials: { username: 'watch', password: 's&s' },
  })
})

test('some nodes of a Cluster are named, the others found', () => {
  expect(parseRedisUrl('redis+cluster://:secret@a:7000,b')).toEqual({
    kind: 'cluster',
    nodes: [
      { host: 'a', port: 7000 },
      { host: 'b', port: 6379 },
    ],
    tls: false,
    username: null,
    password: 'secret',
  })
})

test.each([
  ['localhost', 'expected redis://'],
  ['http://localhost', 'expected redis://'],
  ['redis+rings://:secret@localhost', 'expected redis://'],
  ['redis://:secret@a:1,b:2', 'redis+sentinel:// or redis+cluster://'],
  ['redis+unix://:secret@localhost', 'the path of the socket'],
  ['redis+unix://:secret@elsewhere/run/redis.sock', 'no host or localhost'],
  ['redis+unix://:secret@localhost/run/redis.sock?db=x', 'with a number'],
  ['rediss+unix://:secret@localhost/run/redis.sock', 'no TLS'],
  ['redis+sentinel://:secret@a:1', 'the name of the primary'],
  ['redis+sentinel://:secret@a:1/name/x', 'db a number'],
  ['redis+sentinel://:%ff@a:1/name', 'percent-encoded'],
  ['redis+cluster://:secret@a:1/1', 'only number 0'],
  ['redis+cluster://:secret@a:1,', 'separated by commas'],
  ['redis+cluster://:secret@a:99999', 'from 1 to 65535'],
])('%s is refused, saying what was expected and not the password', (url, expected) => {
  const { success, error } = redisUrlSetting.safeParse(url)
  expect(success).toBe(false)
  expect(error?.message).toContain(expected)
  expect(error?.message).not.toContain('secret')
})
