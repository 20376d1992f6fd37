import { final, forms, problem, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, test } from 'vitest'

const commandTimeoutMs = 500
let system: System
let example: Example

beforeAll(async () => {
  const [first] = readExamples()
  if (first === undefined) throw new Error('No examples')
  example = first
  system = await startSystem({
    apiEnv: { REDIS_COMMAND_TIMEOUT_MS: String(commandTimeoutMs) },
    // With Redis gone, nothing can be handed back: no use in waiting for it at the end.
    consumerEnv: { SHUTDOWN_TIMEOUT_MS: '500' },
  })
})
afterAll(async () => {
  await system.stop()
})

test('a frozen Redis is answered with 503 and not with a hang, and all goes on when it thaws', async () => {
  const id = await submit(system.url, example)
  await final(system.url, id)
  system.redis.freeze()
  const [posted, asked, ready, live] = await Promise.all([
    forms.json(system.url, example),
    fetch(`${system.url}/jobs/${id}?wait=60`),
    fetch(`${system.url}/health/ready`),
    fetch(`${system.url}/health/live`),
  ])
  system.redis.thaw()
  expect(await problem(posted)).toMatchObject({ status: 503, code: 'queue_unavailable' })
  expect(posted.headers.get('retry-after')).not.toBeNull()
  expect(await problem(asked)).toMatchObject({ status: 503, code: 'queue_unavailable' })
  expect(ready.status).toBe(503)
  expect(live.status).toBe(200)
  await until(async () => (await fetch(`${system.url}/health/ready`)).ok, 'the API is ready again')
  expect((await final(system.url, await submit(system.url, example))).status).toBe('succeeded')
})

test('a dead Redis is answered with 503', async () => {
  system.redis.kill()
  await until(async () => (await forms.json(system.url, example)).status === 503, 'the API notices')
  expect(await problem(await forms.raw(system.url, example))).toMatchObject({
    status: 503,
    code: 'queue_unavailable',
    contentType: expect.stringContaining('application/problem+json'),
  })
})
