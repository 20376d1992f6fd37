import { modelVariantsKey } from '../keys.ts'
import type { VariantDecision } from '@vision-queue/protocol'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { createModelForgetting } from './forget-model.ts'
import { agreeOnVariant } from './variant-decisions.ts'

let server: TestRedis
let redis: Redis
beforeAll(async () => {
  server = await startTestRedis()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
beforeEach(async () => {
  await redis.flushall()
})

const model = { name: 'm', version: '1', fingerprint: 'a' }
const own = (graph: VariantDecision['graph']): VariantDecision => ({ graph, reason: `${graph} it is`, at: null })

test('the first decision holds for all, whatever they would choose', async () => {
  const first = await agreeOnVariant(redis, model, own('int8'))
  expect(first).toEqual({ graph: 'int8', reason: 'int8 it is', at: expect.any(Number) })
  expect(await agreeOnVariant(redis, model, own('fp32'))).toEqual(first)
  expect(await agreeOnVariant(redis, model, first)).toEqual(first)
})

test('of consumers that race all get the same', async () => {
  const others = Array.from({ length: 10 }, () => new Redis(server.url))
  const decisions = await Promise.all(
    others.map(async (one, index) => agreeOnVariant(one, model, own(index % 2 === 0 ? 'int8' : 'fp32'))),
  )
  for (const one of others) one.disconnect()
  expect(new Set(decisions.map((decision) => JSON.stringify(decision))).size).toBe(1)
})

test('other files of the same version are another decision, and so are other versions', async () => {
  await agreeOnVariant(redis, model, own('int8'))
  expect((await agreeOnVariant(redis, { ...model, fingerprint: 'b' }, own('fp32'))).graph).toBe('fp32')
  expect((await agreeOnVariant(redis, { ...model, version: '2' }, own('fp16'))).graph).toBe('fp16')
})

test('a Redis that lost the decision is told again, with its time', async () => {
  const first = await agreeOnVariant(redis, model, own('int8'))
  await redis.flushall()
  expect(await agreeOnVariant(redis, model, first)).toEqual(first)
  expect(await agreeOnVariant(redis, model, own('fp32'))).toEqual(first)
})

test('a decision that can not be read is replaced', async () => {
  await redis.hset(modelVariantsKey('m', '1'), 'a', '{"graph":"int3"}')
  expect((await agreeOnVariant(redis, model, own('fp32'))).graph).toBe('fp32')
  expect((await agreeOnVariant(redis, model, own('int8'))).graph).toBe('fp32')
})

test('a version that is forgotten takes its decisions with it', async () => {
  await agreeOnVariant(redis, model, own('int8'))
  const forgetting = createModelForgetting(redis)
  expect(await forgetting.forget('m', '1')).toBe(true)
  await forgetting.close()
  expect(await redis.exists(modelVariantsKey('m', '1'))).toBe(0)
})
