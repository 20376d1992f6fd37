import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startTestRedis } from '@vision-queue/test-support/redis'
import { expect, onTestFinished, test } from 'vitest'

import { checkNode, checkPort } from './check-machine.ts'
import { judgeRedis } from './check-redis.ts'
import { runDoctor } from './run-doctor.ts'

async function diagnose(env: Record<string, string>): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = []
  const code = await runDoctor(env, { result: (line) => void lines.push(line), note() {} })
  return { code, lines }
}

test('all that is wrong is told at once, each with its remedy, and no secret', async () => {
  const redis = await startTestRedis({ settings: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] })
  onTestFinished(() => redis.stop())
  const repository = await mkdtemp(join(tmpdir(), 'vision-queue-doctor-'))
  onTestFinished(() => rm(repository, { recursive: true }))
  await mkdir(join(repository, 'mine', '1'), { recursive: true })
  await writeFile(join(repository, 'mine', '1', 'model.json'), '{"task":"no-such-task"}')
  const { code, lines } = await diagnose({
    REDIS_URL: redis.url,
    MODEL_REPOSITORY: repository,
    MODELS: 'mien',
    PORT: '0',
    ENGINES: 'many',
    QUEUE_MAX_JOB: '5',
    ADMIN_KEY: 'very-secret',
    BLOB_STORE: 's3://images?endpoint=http://127.0.0.1:1',
    AWS_ACCESS_KEY_ID: 'a',
  })
  expect(code).toBe(1)
  const text = lines.join('\n')
  for (const line of [
    /^fail {2}Settings: ENGINES: expected a whole number/m,
    /^warn {2}Settings: QUEUE_MAX_JOB is set, and is no setting: is QUEUE_MAX_JOBS meant\?$/m,
    /^ok {4}Redis version: \d/m,
    /^fail {2}Redis eviction: maxmemory-policy allkeys-lru drops accepted jobs .*: redis-cli config set/m,
    /^ok {4}Redis memory: \d+ MB of 100 MB used$/m,
    /^warn {2}Redis persistence: no append-only file/m,
    /^ok {4}Clock: \d+ ms (ahead of|behind) Redis/m,
    /^fail {2}Blob store: BLOB_STORE: (http:\/\/127\.0\.0\.1:1 does not answer|there are no credentials)/m,
    /^fail {2}Models: MODELS: there is no mien; is mine meant\?$/m,
    /^warn {2}Models: mine@1 can not be served: /m,
    /^(ok|warn) {2,4}Disk of models: [\d,]+ MB free/m,
  ]) {
    expect(text).toMatch(line)
  }
  expect(text).not.toContain('very-secret')
})

test('where all is well the exit code is 0', async () => {
  const redis = await startTestRedis({ appendFsync: 'everysec' })
  onTestFinished(() => redis.stop())
  const { code, lines } = await diagnose({ REDIS_URL: redis.url, PORT: '0' })
  expect(lines.filter((line) => line.startsWith('fail'))).toEqual([])
  expect(code).toBe(0)
})

test('a Redis that is away is told by its address without the password, and the rest is looked at', async () => {
  const { code, lines } = await diagnose({ REDIS_URL: 'redis://:secret@127.0.0.1:1', PORT: '0' })
  expect(code).toBe(1)
  expect(lines).toContain(
    'fail  Redis: REDIS_URL: Redis at 127.0.0.1:1. Nothing answers there (ECONNREFUSED): is Redis running?',
  )
  expect(lines.join('\n')).toMatch(/^ok {4}Models: shapes-vqa@1/m)
})

const healthy = {
  redis_version: '7.0.15',
  used_memory: '1000000',
  maxmemory: '100000000',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  rdb_last_bgsave_status: 'ok',
}

test.each<[string, Partial<typeof healthy>, number, string]>([
  ['fine', {}, 0, ''],
  ['too old', { redis_version: '5.0.7' }, 0, 'fail Redis version'],
  ['without a bound', { maxmemory: '0' }, 0, 'warn Redis memory'],
  ['nearly full', { used_memory: '95000000' }, 0, 'warn Redis memory'],
  ['in memory alone', { aof_enabled: '0' }, 0, 'warn Redis persistence'],
  ['with a full disk', { aof_last_write_status: 'err' }, 0, 'fail Redis persistence'],
  ['an hour ahead', {}, -3_600_000, 'warn Clock'],
  ['an hour behind', {}, 3_600_000, 'warn Clock'],
])('Redis is %s: this alone is told', (_, changes, skewMs, told) => {
  const info = Object.entries({ ...healthy, ...changes })
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')
  const bad = judgeRedis({ info: `# Server\r\n${info}`, evictionPolicy: null, skewMs, roundTripMs: 2 }).flatMap(
    ({ level, about }) => (level === 'ok' ? [] : [`${level} ${about}`]),
  )
  expect(bad).toEqual(told === '' ? [] : [told])
})

test('a port is free, an API’s, or another program’s', async () => {
  const server = createServer((_, response) => response.end(body)).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  let body = 'hello'
  expect(await checkPort('127.0.0.1', port)).toMatchObject({ level: 'fail', told: expect.stringContaining('is taken') })
  body = '{"status":"ok"}'
  expect(await checkPort('127.0.0.1', port)).toMatchObject({ level: 'ok' })
  expect(await checkPort('127.0.0.1', 0)).toMatchObject({ level: 'ok' })
})

test('Node has to be as new as package.json says', () => {
  expect(['20.18.9', '18.20.0', '20.19.0', '24.1.0'].map((version) => checkNode(version).level)).toEqual([
    'fail',
    'fail',
    'ok',
    'ok',
  ])
})
