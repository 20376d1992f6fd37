import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, expect, test } from 'vitest'

import { findRedisServer, type RedisServer } from './find-redis.ts'
import { freePort } from './free-port.ts'
import { redisAccess } from './redis-access.ts'
import { redisCommand, type RunningRedis, startRedis } from './redis-server.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function aServer(): Promise<RedisServer> {
  const cacheFolder = fileURLToPath(new URL('../../.vision-queue/redis-package', import.meta.url))
  return findRedisServer({ cacheFolder, env: process.env, say() {} })
}

/** A Redis with the access that the launcher gives it, in a folder of this name. */
async function aRedis(name: string) {
  const parent = await mkdtemp(join(tmpdir(), 'redis-access-'))
  cleanups.push(async () => rm(parent, { recursive: true, force: true }))
  const folder = join(parent, name)
  await mkdir(folder)
  const server = await aServer()
  const port = await freePort()
  const access = await redisAccess({ server, port, folder })
  const options = { server, port, folder, persistent: false, env: process.env, settings: access.settings }
  const redis: RunningRedis = await startRedis(options)
  cleanups.push(redis.stop)
  const { file, args } = redisCommand(options)
  return { ...access, server, commandLine: [file, ...args].join(' ') }
}

/** What Redis answers to these lines, asked at the address as it stands in a REDIS_URL. */
async function askAt(address: string, lines: readonly string[]): Promise<string> {
  const { protocol, port, pathname, username, password } = new URL(address)
  const where = protocol === 'redis+unix:' ? { path: decodeURIComponent(pathname) } : { host: '127.0.0.1', port: +port }
  const login = username === '' ? [] : [`AUTH ${username} ${password}`]
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(where, () => socket.write(`${[...login, ...lines, 'QUIT'].join('\r\n')}\r\n`))
    socket.on('data', (chunk) => (answer += String(chunk)))
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

test.each(['data', 'a folder with spaces & signs', 'x'.repeat(90)])(
  'the apps may do everything, the engines read images (%s)',
  async (name) => {
    const { env, commandLine, server } = await aRedis(name)
    const kind = server.kind === 'docker' || name.length > 80 ? 'redis:' : 'redis+unix:'
    expect([new URL(env.REDIS_URL).protocol, new URL(env.ENGINE_REDIS_URL).protocol]).toEqual([kind, kind])
    expect(await askAt(env.REDIS_URL, ['SET vq:{blob::aa}:bytes picture', 'SET vq:job:a b'])).toContain('+OK\r\n+OK')
    const said = await askAt(env.ENGINE_REDIS_URL, ['GET vq:{blob::aa}:bytes', 'GET vq:job:a', 'INFO'])
    expect(said).toMatch(/^\+OK\r\n\$7\r\npicture\r\n-NOPERM[^\n]*\n-NOPERM/)
    const { password } = new URL(env.ENGINE_REDIS_URL)
    expect(password).toMatch(/^[\da-f]{64}$/)
    expect(commandLine).toContain('--user')
    expect(commandLine).not.toContain(password)
  },
)

test('the rights of the engines are those of docs/security.md', async () => {
  const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8')
  const [, rights = ''] = /^user vq-engine on >\S+ (.*)$/m.exec(text) ?? []
  const { settings } = await redisAccess({ server: await aServer(), port: 1, folder: tmpdir() })
  expect(settings.join(' ')).toContain(`--user vq-engine on #`)
  expect(settings.join(' ')).toContain(rights)
})
