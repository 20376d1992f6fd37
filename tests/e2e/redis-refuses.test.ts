import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { final, forms, problem, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { type SingleTestRedis, startTestRedis } from '@vision-queue/test-support/redis'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

import { askRedis } from '../load/ask-redis.ts'

const run = promisify(execFile)
const readinessSchema = z.object({ status: z.string(), missing: z.array(z.string()), detail: z.string().optional() })
const settings = ['--key-load-delay', '50000', '--loading-process-events-interval-bytes', '1024']

let redis: SingleTestRedis
let system: System
let example: Example

beforeAll(async () => {
  const [first] = readExamples()
  if (first === undefined) throw new Error('No examples')
  example = first
  redis = await startTestRedis({ appendFsync: 'everysec', settings })
  system = await start(redis)
})
afterAll(async () => {
  await system.stop()
  await redis.stop()
})

async function start(on: SingleTestRedis): Promise<System> {
  // These tests are about what one Redis says; the suite may run on a Cluster otherwise.
  return await startSystem({ redis: on, cluster: false, apiEnv: { READINESS_MAX_AGE_MS: '50' } })
}

/** What `GET /health/ready` tells, as one line; it names no host. */
async function readiness({ url }: System): Promise<string> {
  const response = await fetch(`${url}/health/ready`)
  const { status, missing, detail = '' } = readinessSchema.parse(await response.json())
  expect(detail).not.toMatch(/127\.0\.0\.1|localhost/)
  return `${response.status} ${status} ${missing.join()} ${detail}`.trim()
}

async function untilReadiness(asked: System, expected: RegExp): Promise<string> {
  let last = ''
  await until(
    async () => expected.test((last = await readiness(asked))),
    `readiness is ${expected.source}`,
    () => last,
  )
  return last
}

async function command(text: string): Promise<void> {
  expect(await askRedis(redis.url, text)).toMatch(/^\+OK/)
}

test.each<[string, string[], string[], RegExp, RegExp]>([
  [
    'OOM',
    ['CONFIG SET maxmemory 1'],
    ['CONFIG SET maxmemory 0'],
    /^503 not_ready writes .*memory is full/,
    /memory is full/,
  ],
  [
    'NOREPLICAS',
    ['CONFIG SET min-replicas-to-write 1'],
    ['CONFIG SET min-replicas-to-write 0'],
    /^503 not_ready writes .*too few of its replicas/,
    /too few of its replicas/,
  ],
  [
    'NOPERM',
    ['ACL SETUSER default -@write'],
    ['ACL SETUSER default +@all'],
    /^503 not_ready writes .*does not permit/,
    /does not permit/,
  ],
  [
    'READONLY',
    ['REPLICAOF 127.0.0.1 1'],
    ['REPLICAOF NO ONE'],
    /^503 not_ready writes .*it is a replica/,
    /it is a replica|can not be reached/,
  ],
  [
    'MASTERDOWN',
    ['CONFIG SET replica-serve-stale-data no', 'REPLICAOF 127.0.0.1 1'],
    ['REPLICAOF NO ONE', 'CONFIG SET replica-serve-stale-data yes'],
    /^503 not_ready redis .*a replica that has lost its primary/,
    /a replica|can not be reached/,
  ],
])(
  '%s: not ready, the submission is told why, the log says what Redis answers, and it passes by itself',
  async (...refusal) => {
    const [code, refuse, restore, expectedReadiness, expectedDetail] = refusal
    const words = code === 'NOPERM' ? '' : `${code} `
    await untilReadiness(system, /^200 ready$/)
    for (const text of refuse) await command(text)
    await untilReadiness(system, expectedReadiness)
    const refused = await problem(await forms.raw(system.url, example))
    expect(refused).toMatchObject({ status: 503, code: 'queue_unavailable' })
    expect(refused.detail).toMatch(expectedDetail)
    expect(refused.detail).not.toContain('127.0.0.1')
    // Its line may come later than its answer. Whatever is said of it, Redis is mended for the next test.
    const logged = (): string => system.apis.map(({ output }) => output()).join('')
    const line = new RegExp(`"redis":"${words}[^"]+","msg":"The queue takes nothing"`)
    const told = await expect
      .poll(logged, { timeout: 10_000 })
      .toMatch(line)
      .then(
        () => null,
        (error: unknown) => error,
      )
    for (const text of restore) await command(text)
    expect(told).toBeNull()
    await untilReadiness(system, /^200 ready$/)
    expect((await final(system.url, await submit(system.url, example))).status).toBe('succeeded')
  },
)

test('LOADING: a Redis that has come back and reads its data is not ready, says so, and is ready then', async () => {
  // Redis answers at all while it loads a base, not while it loads what was appended to it.
  for (let key = 0; key < 40; key += 1) await command(`SET key-${key} ${'x'.repeat(2000)}`)
  await askRedis(redis.url, 'BGREWRITEAOF')
  const rewritten = async (): Promise<boolean> =>
    /aof_rewrite_in_progress:0/.test(await askRedis(redis.url, 'INFO persistence'))
  await until(rewritten, 'the append-only file is rewritten')
  const back = redis.restart('SIGTERM')
  expect(await untilReadiness(system, /loading/)).toBe('503 not_ready redis Redis is still loading its data.')
  await back
  expect(await untilReadiness(system, /^200/)).toBe('200 ready')
})

test('NOAUTH: a Redis that asks for a password is not ready and says so', async () => {
  // On one connection, which is let in already. pubsub are the API's and the consumer's subscribers.
  const kills = ['normal', 'pubsub'].map((type) => `CLIENT KILL TYPE ${type} SKIPME yes`)
  await command(['CONFIG SET requirepass sesame', ...kills].join('\r\n'))
  expect(await untilReadiness(system, /password/)).toBe(
    '503 not_ready redis Redis asks for a password that was not given.',
  )
})

test('a full disk: not ready, the reason is told and logged, and all goes on when there is room', async (context) => {
  if (process.getuid?.() !== 0) {
    console.warn('Skipped: a full disk needs root, who may mount one in memory.')
    context.skip('a full disk needs root')
  }
  const disk = await mkdtemp(join(tmpdir(), 'vision-queue-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', disk])
  onTestFinished(async () => {
    await run('umount', ['--lazy', disk])
    await rm(disk, { recursive: true })
  })
  const small = await startTestRedis({ appendFsync: 'everysec', parentFolder: disk })
  const fresh = await start(small)
  onTestFinished(async () => {
    await fresh.stop()
    await small.stop()
  })
  const filler = join(disk, 'filler')
  await writeFile(filler, Buffer.alloc(6 * 1024 * 1024)).catch(() => null)
  await untilReadiness(fresh, /^503 not_ready writes Redis refuses writes, because it can not write to its own disk/)
  const refused = await problem(await forms.raw(fresh.url, example))
  expect(refused).toMatchObject({ status: 503, code: 'queue_unavailable' })
  expect(refused.detail).toContain('can not write to its own disk')
  expect(fresh.apis[0]?.output()).toMatch(/"redis":"MISCONF [^"]*No space left on device/)

  await rm(filler)
  await untilReadiness(fresh, /^200 ready$/)
  expect((await final(fresh.url, await submit(fresh.url, example))).status).toBe('succeeded')
})
