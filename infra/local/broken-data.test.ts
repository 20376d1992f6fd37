import { execFile } from 'node:child_process'
import { appendFile, cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { findRedisServer } from './find-redis.ts'
import { startRedis } from './redis-server.ts'
import { askRedis, createStandIns, type StandIns, type StartedLauncher, until } from './test-support/stand-ins.ts'

const run = promisify(execFile)
const keys = 100
const names = {
  base: 'appendonly.aof.1.base.rdb',
  appended: 'appendonly.aof.1.incr.aof',
  manifest: 'appendonly.aof.manifest',
}

/** What a Redis has left behind that held `keys` keys, k1 to k100. */
let template: string
let standIns: StandIns

beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), 'vision-queue-data-'))
  const cacheFolder = fileURLToPath(new URL('../../.vision-queue/redis-package', import.meta.url))
  const server = await findRedisServer({ cacheFolder, env: process.env, say: () => undefined })
  const redis = await startRedis({ server, folder: template, persistent: true, env: process.env })
  const sets = Array.from({ length: keys }, (_, index) => `SET k${index + 1} value${index + 1}`)
  await askRedis(redis.port, sets.join('\r\n'))
  await redis.stop()
})

afterAll(async () => {
  await rm(template, { recursive: true })
})

beforeEach(async () => {
  standIns = await createStandIns()
  await cp(template, join(standIns.folder, 'data/redis'), { recursive: true })
})

afterEach(async () => {
  await standIns.close()
})

const redisFolder = (): string => join(standIns.folder, 'data/redis')
const dataFile = (name: keyof typeof names): string => join(redisFolder(), 'appendonlydir', names[name])

async function overwrite(name: keyof typeof names, at: number, bytes: string | Buffer): Promise<void> {
  const content = await readFile(dataFile(name))
  content.set(Buffer.from(bytes), at)
  await writeFile(dataFile(name), content)
}

/** Of all files of Redis' data. */
async function contents(): Promise<string[]> {
  const folder = join(redisFolder(), 'appendonlydir')
  const files = (await readdir(folder)).toSorted()
  return await Promise.all(files.map(async (file) => `${file} ${await readFile(join(folder, file), 'base64')}`))
}

async function keysHeld(launcher: StartedLauncher): Promise<number> {
  await launcher.says('Ctrl-C stops everything')
  const size = await askRedis(await launcher.noted('redis port'), 'DBSIZE')
  return Number(/^:(\d+)/.exec(size)?.[1])
}

/** The sentences of a start that was refused, without a stack. */
async function refusal(launcher: StartedLauncher): Promise<string> {
  expect(await launcher.exited).toBe(1)
  expect(launcher.output()).not.toMatch(/^ +at /m)
  return launcher.output()
}

const zeros = Buffer.alloc(4096)
const garbage = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 89 + 7) % 256))
const command = (...words: string[]): string =>
  [`*${words.length}`, ...words.flatMap((word) => [`$${word.length}`, word]), ''].join('\r\n')

test.each<[string, () => Promise<void>, number, number]>([
  ['zeros', async () => await appendFile(dataFile('appended'), zeros), 4096, keys],
  ['bytes that mean nothing', async () => await appendFile(dataFile('appended'), garbage), 300, keys],
  [
    'half a command',
    async () => await appendFile(dataFile('appended'), command('SET', 'k', 'v').slice(0, 20)),
    20,
    keys,
  ],
  [
    'a transaction without its end, with whole commands in it',
    async () => await appendFile(dataFile('appended'), command('MULTI') + command('SET', 'k', 'v') + '*3\r\n$3'),
    command('MULTI').length + command('SET', 'k', 'v').length + 6,
    keys,
  ],
  [
    'a last command that was cut',
    async () => await truncate(dataFile('appended'), (await readFile(dataFile('appended'))).length - 3),
    command('SET', 'k100', 'value100').length - 3,
    keys - 1,
  ],
  ['nothing but zeros since the base', async () => await writeFile(dataFile('appended'), zeros), 4096, 0],
])('a file that ends in %s is cut back to what is whole, and a copy is kept', async (_, damage, cut, held) => {
  await damage()
  const damaged = await readFile(dataFile('appended'))
  const launcher = standIns.start()

  expect(await keysHeld(launcher)).toBe(held)
  expect(launcher.output()).toContain(`${cut} of ${damaged.length} bytes held no whole command and were cut off`)
  const copy = /The file as it was: (.+)/.exec(launcher.output())?.[1] ?? ''
  expect(await readFile(copy)).toEqual(damaged)
})

test('what is whole is not touched, and nothing is said of it', async () => {
  const launcher = standIns.start()
  expect(await keysHeld(launcher)).toBe(keys)
  expect(launcher.output()).not.toContain('cut off')
})

test.each<[string, () => Promise<void>]>([
  ['zeros in the middle', async () => await overwrite('appended', 1000, Buffer.alloc(40))],
  [
    // Redis itself takes all that follows for the missing rest of this word, and cuts it off.
    'a length in the middle that reaches behind the end',
    async () => {
      const text = await readFile(dataFile('appended'), 'latin1')
      await writeFile(dataFile('appended'), text.replace('$3\r\nk50', '$999999\r\nk50'), 'latin1')
    },
  ],
  [
    'zeros and then whole commands',
    async () => await appendFile(dataFile('appended'), zeros + command('SET', 'a', 'b')),
  ],
])('%s: nothing is cut off, and the command that would cut it is there to paste and works', async (_, damage) => {
  await damage()
  const before = await contents()
  const said = await refusal(standIns.start())

  expect(said).toContain('in its middle')
  expect(await contents()).toEqual(before)
  const byHand = /go on with what is before: (.+)/.exec(said)?.[1] ?? ''
  await run('bash', ['-c', `yes | (${byHand})`])
  expect(await keysHeld(standIns.start())).toBeGreaterThan(10)
})

test.each<[string, () => Promise<void>]>([
  ['is empty', async () => await truncate(dataFile('manifest'))],
  ['is missing', async () => await rm(dataFile('manifest'))],
  ['can not be read', async () => await writeFile(dataFile('manifest'), Buffer.alloc(88))],
])('a list of data files that %s stops the start, and the command that writes it works', async (what, damage) => {
  await damage()
  const before = await contents()
  const said = await refusal(standIns.start())

  expect(said).toContain(`list of its data files ${what}`)
  expect(await contents()).toEqual(before)
  const byHand = /from the files beside it: (.+)/.exec(said)?.[1] ?? ''
  await run('bash', ['-c', byHand])
  expect(await keysHeld(standIns.start())).toBe(keys)
})

test.each<[string, () => Promise<void>, string]>([
  ['a base that is missing', async () => await rm(dataFile('base')), `data is missing: `],
  ['a base that is empty', async () => await truncate(dataFile('base')), `data is empty: `],
  ['an appended file that is missing', async () => await rm(dataFile('appended')), `data is missing: `],
  ['a damaged base', async () => await overwrite('base', 30, 'XXXXXXXXXXXX'), 'is damaged and can not be repaired'],
  ['a base that is no base', async () => await overwrite('base', 0, 'XXXXXXXXXXXX'), 'another file after it'],
  ['a base of a newer Redis', async () => await overwrite('base', 0, 'REDIS0099'), 'written by a newer Redis than'],
  [
    'a command of a newer Redis',
    async () => await appendFile(dataFile('appended'), command('HNEW', 'k', 'v')),
    'written by a newer Redis than',
  ],
  [
    'a damaged file that is not the last',
    async () => {
      await rename(dataFile('appended'), join(redisFolder(), 'appendonlydir/appendonly.aof.2.incr.aof'))
      await writeFile(dataFile('appended'), zeros)
      const lines = [`file ${names.base} seq 1 type b`, `file ${names.appended} seq 1 type i`]
      await writeFile(dataFile('manifest'), [...lines, 'file appendonly.aof.2.incr.aof seq 2 type i\n'].join('\n'))
    },
    'another file after it',
  ],
])(
  '%s: one sentence says so, nothing is changed, and the command to start empty works',
  async (_, damage, sentence) => {
    await damage()
    const before = await contents()
    const said = await refusal(standIns.start())

    expect(said).toContain(sentence)
    expect(said).toContain(redisFolder())
    expect(await contents()).toEqual(before)
    const byHand = /keep these files aside: (.+)/.exec(said)?.[1] ?? ''
    await run('bash', ['-c', byHand])
    expect(await keysHeld(standIns.start())).toBe(0)
  },
)

test('a Redis that is killed in the middle of a write is repaired when it is started again', async () => {
  const launcher = standIns.start()
  await keysHeld(launcher)
  const port = await launcher.noted('redis port')
  process.kill(Number(/process_id:(\d+)/.exec(await askRedis(port, 'INFO server'))?.[1]), 'SIGKILL')
  await appendFile(dataFile('appended'), command('SET', 'k', 'v').slice(0, 20))

  await launcher.says('20 of')
  await launcher.says('redis runs again')
  await until(
    async () => (await askRedis(port, 'PING').catch(() => '')).startsWith('+PONG'),
    () => `Redis again; ${launcher.output()}`,
  )
  expect(await askRedis(port, 'DBSIZE')).toContain(`:${keys}`)
})
