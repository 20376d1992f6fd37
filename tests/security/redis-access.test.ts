import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '@vision-queue/local/free-port'
import { final, forms, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { openApiKeys } from '@vision-queue/queue/producer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { askRedis } from '../load/ask-redis.ts'
import { certificate, certificateKey } from './certificate.ts'

const quiet = { info() {}, warn() {}, error() {} }
const [example = missing(), another = missing()] = readExamples()
const adminKey = 'an-administrator'

function missing(): Example {
  throw new Error('No examples')
}

/** What an API and a consumer do with Redis over a day: jobs, answers, uploads, orders, keys, metrics. */
async function exercise(system: System, keyed: Record<string, string>): Promise<void> {
  const { url } = system
  expect(await final(url, await submit(url, example))).toMatchObject({ status: 'succeeded' })
  for (let time = 0; time < 2; time += 1) {
    const waited = await forms.json(url, another, { prefer: 'wait=30', ...keyed })
    expect(await waited.json()).toMatchObject({ status: 'succeeded', cached: time > 0 })
  }
  const headers = { ...keyed, 'content-type': example.type }
  const uploaded = await fetch(`${url}/images`, { method: 'POST', headers, body: Uint8Array.from(example.image) })
  const path = uploaded.headers.get('location') ?? ''
  const asked = await fetch(`${url}/jobs`, {
    method: 'POST',
    headers: { ...keyed, 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: { image: path.replace('/images/', ''), question: example.question }, cache: false }),
  })
  expect(await asked.json()).toMatchObject({ status: 'succeeded' })
  expect((await fetch(url + path, { method: 'DELETE', headers: keyed })).status).toBe(204)
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('vision_queue_redis_up 1')
  const admin = { authorization: `Bearer ${adminKey}` }
  expect((await fetch(`${url}/models/shapes-vqa/reload`, { method: 'POST', headers: admin })).status).toBe(202)
  expect((await fetch(`${url}/jobs/job_aaaaaaaaaaaaaaaaaaaaa`)).status).toBe(404)
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
}

async function makeKey(redisUrl: string): Promise<string> {
  const keys = openApiKeys({ redisUrl, commandTimeoutMs: 2000, cacheMs: 0, log: quiet })
  try {
    await keys.hasUsable(5000)
    const limits = { requestsPerMinute: 1000, maxJobs: 10, maxBytes: 10_000_000 }
    return (await keys.create({ name: 'a', scopes: ['submit', 'read'], limits, expiresAt: null })).key
  } finally {
    keys.close()
  }
}

describe('with the users of docs/security.md', () => {
  let redis: TestRedis
  let system: System
  let key = ''
  const as = (user: string): string => redis.url.replace('redis://', `redis://${user}:secret-${user}@`)

  beforeAll(async () => {
    redis = await startTestRedis()
    const text = await readFile(new URL('../../docs/security.md', import.meta.url), 'utf8')
    const users = [...text.matchAll(/^user (\S+) on >\S+ (.*)$/gm)]
    for (const [, name = '', rules = ''] of users) {
      const reply = await askRedis(redis.url, `ACL SETUSER ${name} reset on >secret-${name} ${rules}`)
      if (reply !== '+OK\r\n') throw new Error(`${name}: ${reply}`)
    }
    key = await makeKey(as('vq-keys'))
    system = await startSystem({
      redis,
      // Each with rights of its own.
      composition: 'apart',
      apiEnv: { REDIS_URL: as('vq-api'), ADMIN_KEY: adminKey },
      consumerEnv: {
        REDIS_URL: as('vq-consumer'),
        ENGINE_REDIS_URL: as('vq-engine'),
        ANSWER_TTL_MS: '60000',
        MODEL_POLL_MS: '200',
      },
    })
  })
  afterAll(async () => {
    await system?.stop()
    await redis.stop()
  })

  test('API, consumer, engines and key tool do all they do, and nothing is denied', async () => {
    await exercise(system, { authorization: `Bearer ${key}` })
    expect(await askRedis(redis.url, 'ACL LOG')).toBe('*0\r\n')
    const clients = (await askRedis(redis.url, 'CLIENT LIST')).split('\n')
    const engines = clients.filter((line) => line.includes('user=vq-engine '))
    expect(engines.length).toBeGreaterThan(0)
    // They have read the images, and not the consumer for them.
    expect(engines.some((line) => line.includes('cmd=get '))).toBe(true)
    expect(system.consumers.map((consumer) => consumer.output()).join('')).not.toContain('could not read an image')
  })

  test.each([
    ['vq-consumer', 'HGETALL vq:keys'],
    ['vq-consumer', 'GET vq:rate:a'],
    ['vq-api', 'HSET vq:keys a b'],
    ['vq-api', 'SET vq:consumer:a b'],
    ['vq-keys', 'GET vq:job:a'],
    ['vq-api', 'GET another:application'],
    ['vq-api', 'FLUSHALL'],
    ['vq-api', 'KEYS *'],
    ['vq-consumer', 'CONFIG GET *'],
    ['vq-consumer', 'CLIENT KILL TYPE normal'],
    ['vq-consumer', 'FUNCTION FLUSH'],
    ['vq-consumer', 'ACL LIST'],
    ['vq-keys', 'SHUTDOWN'],
    ['vq-engine', 'SET vq:{blob::aa}:bytes b'],
    ['vq-engine', 'DEL vq:{blob::aa}:bytes'],
    ['vq-engine', 'EXPIRE vq:{blob::aa}:bytes 1'],
    ['vq-engine', 'GETDEL vq:{blob::aa}:bytes'],
    ['vq-engine', 'GET vq:{blob::aa}:holders'],
    ['vq-engine', 'GET vq:job:a'],
    ['vq-engine', 'GET vq:result:a'],
    ['vq-engine', 'HGETALL vq:keys'],
    ['vq-engine', 'KEYS *'],
    ['vq-engine', 'SCAN 0'],
    ['vq-engine', 'RANDOMKEY'],
    ['vq-engine', 'PUBLISH vq:a b'],
    ['vq-engine', 'SUBSCRIBE vq:a'],
    ['vq-engine', 'PSUBSCRIBE *'],
    ['vq-engine', 'EVAL return 0'],
    ['vq-engine', 'SCRIPT LOAD return'],
    ['vq-engine', 'FUNCTION LIST'],
    ['vq-engine', 'CONFIG GET *'],
    ['vq-engine', 'INFO'],
    ['vq-engine', 'MONITOR'],
    ['vq-engine', 'CLIENT LIST'],
    ['vq-engine', 'CLUSTER RESET'],
    ['vq-engine', 'ACL WHOAMI'],
    ['vq-engine', 'FLUSHALL'],
  ])('%s may not %s', async (user, command) => {
    expect(await askRedis(redis.url, `ACL DRYRUN ${user} ${command}`)).toContain('has no permissions')
  })
})

test('everything works over TLS, with a certificate that is checked', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-tls-'))
  const [cert, certKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(cert, certificate)
  await writeFile(certKey, certificateKey)
  const port = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', certKey, '--tls-ca-cert-file', cert]
  const started = await startTestRedis({
    settings: ['--tls-port', String(port), '--tls-auth-clients', 'no', ...files],
  }).catch((error: unknown) => String(error))
  try {
    if (typeof started === 'string') {
      context.skip(`this Redis was built without TLS: ${started}`)
      return
    }
    await askRedis(started.url, 'ACL SETUSER somebody reset on >sesame ~* &* +@all')
    const env = { REDIS_URL: `rediss://somebody:sesame@127.0.0.1:${port}`, NODE_EXTRA_CA_CERTS: cert }
    const system = await startSystem({
      redis: started,
      apiEnv: { ...env, ADMIN_KEY: adminKey },
      consumerEnv: { ...env, ENGINE_REDIS_URL: env.REDIS_URL, ANSWER_TTL_MS: '60000' },
    })
    try {
      await exercise(system, {})
      const clients = await askRedis(started.url, 'CLIENT LIST')
      const ours = clients.split('\n').filter((line) => /name=(vision-queue|vq)/.test(line))
      expect(ours.length).toBeGreaterThan(5)
      expect(ours.some((line) => line.includes('name=vision-queue-engine ') && line.includes('cmd=get '))).toBe(true)
      expect(ours.every((line) => line.includes('user=somebody'))).toBe(true)
    } finally {
      await system.stop()
    }
    // This process does not trust the certificate, so it must not talk to that server.
    const distrusting = openApiKeys({ redisUrl: env.REDIS_URL, commandTimeoutMs: 1000, cacheMs: 0, log: quiet })
    await expect(distrusting.hasUsable(1000)).rejects.toMatchObject({ code: 'queue_unavailable' })
    distrusting.close()
  } finally {
    if (typeof started !== 'string') await started.stop()
    await rm(folder, { recursive: true, force: true })
  }
})
