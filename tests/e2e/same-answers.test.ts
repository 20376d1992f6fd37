import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

import { jobSchema, modelVariantsKey } from '@vision-queue/jobs'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { openDurableConnection } from '@vision-queue/transport'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const decisions = modelVariantsKey('shapes-vqa', '1')
const decisionSchema = z.object({ graph: z.string(), reason: z.string(), at: z.int() })
const [example] = readExamples()
let system: System
let redis: ReturnType<typeof openDurableConnection>

beforeAll(async () => {
  system = await startSystem({ consumers: 0, consumerEnv: { ENGINES: '1' }, apiEnv: { MODELS_REFRESH_MS: '50' } })
  const log = { info() {}, warn() {}, error() {} }
  redis = openDurableConnection({ redisUrl: system.redis.url, log, name: 'test' })
})
afterAll(async () => {
  redis.disconnect()
  await system.stop()
})

const detailSchema = z.object({
  variants: z.array(z.string()),
  consumer_stats: z.array(z.object({ variant: z.string(), variant_reason: z.string() })),
})

async function shown(): Promise<z.infer<typeof detailSchema>> {
  return detailSchema.parse(await (await fetch(`${system.url}/models/shapes-vqa`)).json())
}

async function ask(): Promise<{ variant: string | null; output: string }> {
  const input = { image: example?.image.toString('base64'), question: 'Is there a yellow circle?' }
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ model: 'shapes-vqa', input, parameters: { top_k: 5 } }),
  })
  const { status, variant, output } = jobSchema.parse(await response.json())
  expect(status).toBe('succeeded')
  return { variant, output: JSON.stringify(output) }
}

async function underLoad(work: () => Promise<void>): Promise<void> {
  const busy = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'const end = Date.now() + 600000; while (Date.now() < end);'], { stdio: 'ignore' }),
  )
  try {
    await work()
  } finally {
    for (const child of busy) child.kill('SIGKILL')
  }
}

test('twenty starts on a busy machine, each with nothing to follow, run one variant and give one answer', async () => {
  const answers: { variant: string | null; output: string }[] = []
  await underLoad(async () => {
    for (let start = 0; start < 20; start += 1) {
      await redis.del(decisions)
      const consumer = await system.addConsumer()
      await system.waitForConsumers(1)
      answers.push(await ask())
      consumer.signal('SIGTERM')
      await consumer.exited
    }
  })
  expect(answers).toHaveLength(20)
  expect(new Set(answers.map(({ variant }) => variant)).size).toBe(1)
  expect(new Set(answers.map(({ output }) => output)).size).toBe(1)
}, 600_000)

test('consumers that start at once agree on one decision, and show it', async () => {
  await redis.del(decisions)
  const consumers = await Promise.all([system.addConsumer(), system.addConsumer()])
  await system.waitForConsumers(2)
  const { variants, consumer_stats: stats } = await shown()
  expect(variants).toHaveLength(1)
  expect(new Set(stats.map(({ variant, variant_reason }) => `${variant}: ${variant_reason}`)).size).toBe(1)
  const [recorded] = Object.values(await redis.hgetall(decisions))
  const { at, reason } = decisionSchema.parse(JSON.parse(recorded ?? ''))
  expect(stats[0]?.variant_reason).toBe(
    `recorded by the fleet at ${new Date(at).toISOString()}, by capability: ${reason}`,
  )
  for (const { signal, exited } of consumers) {
    signal('SIGTERM')
    await exited
  }
})

test('one that starts later follows what was decided, and another variant is run only where VARIANT says so', async () => {
  const [[fingerprint = '', recorded = ''] = []] = Object.entries(await redis.hgetall(decisions))
  const decision = decisionSchema.parse(JSON.parse(recorded))
  const other = decision.graph === 'int8' ? 'fp32' : 'int8'
  await redis.hset(decisions, fingerprint, JSON.stringify({ graph: other, reason: 'an older machine decided', at: 1 }))
  await system.addConsumer()
  await system.waitForConsumers(1)
  expect((await ask()).variant).toBe(other)
  expect((await shown()).consumer_stats).toMatchObject([
    { variant: other, variant_reason: expect.stringContaining('an older machine decided') },
  ])
  await system.addConsumer({ VARIANT: decision.graph })
  await system.waitForConsumers(2)
  const { variants, consumer_stats: stats } = await shown()
  expect(new Set(variants)).toEqual(new Set(['int8', 'fp32']))
  expect(stats.map(({ variant_reason }) => variant_reason)).toContain('VARIANT is set')
})
