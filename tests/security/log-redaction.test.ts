import { jobResponseSchema } from '@vision-queue/protocol'
import { final, forms } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { openApiKeys } from '@vision-queue/queue/producer'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { askRedis } from '../load/ask-redis.ts'

const question = 'What is the colour of the unmistakable zyzzyva?'
const adminKey = 'administrators-own-words'
const password = 'redis-password-of-the-test'
const enginePassword = 'what-engines-log-in-with'
const quiet = { info() {}, warn() {}, error() {} }
let system: System

beforeAll(async () => {
  system = await startSystem({
    apiEnv: { LOG_LEVEL: 'trace', ADMIN_KEY: adminKey, METRICS_TOKEN: 'scrapers-own-words' },
    consumerEnv: {
      LOG_LEVEL: 'trace',
      ANSWER_TTL_MS: '60000',
      // Nobody listens there, of which the consumer writes a line.
      ENGINE_REDIS_URL: `redis://engines:${enginePassword}@127.0.0.1:1`,
    },
  })
})
afterAll(async () => {
  await system.stop()
})

test('at LOG_LEVEL=trace no line of API or consumer holds a key, a header, an image or a question', async () => {
  const { url, redis } = system
  const [found] = readExamples()
  if (found === undefined) throw new Error('No examples')
  const example = { ...found, question }
  const keys = openApiKeys({ redisUrl: redis.url, commandTimeoutMs: 1000, cacheMs: 0, log: quiet })
  await keys.hasUsable(5000)
  const limits = { requestsPerMinute: 100, maxJobs: 5, maxBytes: null }
  const { key } = await keys.create({ name: 'a', scopes: ['submit', 'read'], limits, expiresAt: null })
  keys.close()
  const headers = { authorization: `Bearer ${key}` }

  // What goes well, in each form, and what goes wrong in each place.
  for (const send of Object.values(forms)) {
    const job = jobResponseSchema.parse(await (await send(url, example, headers)).json())
    const ended = await fetch(`${url}/jobs/${job.id}?wait=30`, { headers })
    expect(await ended.json()).toMatchObject({ status: 'succeeded' })
  }
  const broken = { ...example, image: example.image.subarray(0, example.image.length / 2) }
  const failed = jobResponseSchema.parse(await (await forms.raw(url, broken)).json())
  expect(await final(url, failed.id)).toMatchObject({ status: 'failed' })
  const wrong = [{ authorization: `${headers.authorization}x` }, { authorization: `Bearer ${adminKey}x` }]
  for (const each of wrong) await forms.json(url, example, each)
  await fetch(`${url}/models/shapes-vqa/reload`, { method: 'POST', headers: { authorization: `Bearer ${adminKey}` } })
  await fetch(`${url}/jobs?question=${encodeURIComponent(question)}`, {
    method: 'POST',
    headers,
    body: example.image.toString('base64'),
  })
  await fetch(`${url}/jobs/${encodeURIComponent(question)}?key=${key}`, { headers })
  // Redis refuses the script that brings the image: its error holds the whole command.
  await askRedis(redis.url, 'DEL vq:{shapes-vqa}:admitted')
  await askRedis(redis.url, `SET vq:{shapes-vqa}:admitted ${password}`)
  expect((await forms.json(url, { ...example, question: `${question}?` }, headers)).status).toBe(503)
  await askRedis(redis.url, 'DEL vq:{shapes-vqa}:admitted')
  await askRedis(redis.url, `SET vq:result:${failed.id} "not JSON: ${question}"`)
  expect((await fetch(`${url}/jobs/${failed.id}`)).status).toBe(503)

  const output = [...system.apis, ...system.consumers].map((process) => process.output())
  expect(output[0]).toContain('"route":"/jobs"')
  expect(output[1]).toContain('Job failed')
  expect(output[1]).toContain('An engine could not read an image')
  const text = output.join('\n')
  const secrets = {
    key,
    secret: key.split('_')[2] ?? key,
    adminKey,
    metricsToken: 'scrapers-own-words',
    header: 'Bearer',
    question: 'zyzzyva',
    encoded: encodeURIComponent(question),
    base64: example.image.toString('base64').slice(100, 160),
    bytes: example.image.toString('latin1', 200, 230),
    asJson: JSON.stringify([...example.image.subarray(200, 220)]).slice(1, -1),
    stored: password,
    enginePassword,
  }
  for (const [what, secret] of Object.entries(secrets)) {
    expect(text.includes(secret), `the ${what} is in a log`).toBe(false)
  }
})
