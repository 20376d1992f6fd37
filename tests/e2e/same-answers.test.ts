import { spawn } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { consumerSettings } from '@vision-queue/consumer/config'
import { jobSchema } from '@vision-queue/protocol'
import { modelVariantsKey } from '@vision-queue/queue'
import { readExamples } from '@vision-queue/test-support/examples'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'
import { openDurableConnection } from '@vision-queue/redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const shapesVqa = fileURLToPath(new URL('../../models/shapes-vqa/1', import.meta.url))
/** One model under several names, so that consumers which start side by side have nothing to follow. */
const names = ['one', 'two', 'three', 'four']
const decisionsOf = (name: string): string => modelVariantsKey(name, '1')
const decisions = decisionsOf('one')
const decisionSchema = z.object({ graph: z.string(), reason: z.string(), at: z.int() })
const [example] = readExamples()
const engineNiceness = consumerSettings.shape.ENGINE_NICENESS.parse(undefined)
let repository: string
let system: System
let redis: ReturnType<typeof openDurableConnection>

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-models-'))
  await Promise.all(names.map(async (name) => cp(shapesVqa, join(repository, name, '1'), { recursive: true })))
  system = await startSystem({
    consumers: 0,
    consumerEnv: { ENGINES: '1', MODELS: 'one', MODEL_REPOSITORY: repository },
    apiEnv: { MODELS_REFRESH_MS: '50' },
  })
  const log = { info() {}, warn() {}, error() {} }
  redis = openDurableConnection({ redisUrl: system.redis.url, log, name: 'test' })
})
afterAll(async () => {
  redis.disconnect()
  await system.stop()
  await rm(repository, { recursive: true })
})

const detailSchema = z.object({
  variants: z.array(z.string()),
  consumer_stats: z.array(z.object({ variant: z.string(), variant_reason: z.string() })),
})

async function shown(): Promise<z.infer<typeof detailSchema>> {
  return detailSchema.parse(await (await fetch(`${system.url}/models/one`)).json())
}

async function ask(model = 'one'): Promise<{ variant: string | null; output: string }> {
  const input = { image: example?.image.toString('base64'), question: 'Is there a yellow circle?' }
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ model, input, parameters: { top_k: 5 } }),
  })
  const { status, variant, output } = jobSchema.parse(await response.json())
  expect(status).toBe('succeeded')
  return { variant, output: JSON.stringify(output) }
}

/** A consumer of this model alone, from its start to its end; resolves to its answer. */
async function startAndAsk(model: string): ReturnType<typeof ask> {
  await redis.del(decisionsOf(model))
  const consumer = await system.addConsumer({ MODELS: model })
  const statusOf = async (): Promise<unknown> => {
    const response = await fetch(`${system.url}/models/${model}`)
    return response.ok ? z.object({ status: z.string() }).parse(await response.json()).status : response.status
  }
  await expect.poll(statusOf, { timeout: 200_000, interval: 100 }).toBe('ready')
  const answer = await ask(model)
  await end(consumer)
  return answer
}

async function end({ signal, exited }: RunningProcess): Promise<void> {
  signal('SIGTERM')
  await exited
}

/** Every core has something else to do, of the same priority as engines have: of a higher one they would hardly run. */
async function underLoad(work: () => Promise<void>): Promise<void> {
  const busy = Array.from({ length: availableParallelism() }, () => {
    const script = 'const end = Date.now() + 600000; while (Date.now() < end);'
    const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
    if (child.pid !== undefined) setPriority(child.pid, engineNiceness)
    return child
  })
  try {
    await work()
  } finally {
    for (const child of busy) child.kill('SIGKILL')
  }
}

test('twenty starts on a busy machine, each with nothing to follow, run one variant and give one answer', async () => {
  const answers: { variant: string | null; output: string }[] = []
  await underLoad(async () => {
    for (let round = 0; round < 5; round += 1) answers.push(...(await Promise.all(names.map(startAndAsk))))
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
  await Promise.all(consumers.map(end))
})

test('one that starts later follows what was decided, and another variant is run only where VARIANT says so', async () => {
  const [[fingerprint, recorded] = ['', '']] = Object.entries(await redis.hgetall(decisions))
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
