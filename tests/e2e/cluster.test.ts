import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { imageResponseSchema, type Job, jobResponseSchema, jobSchema } from '@vision-queue/protocol'
import {
  answerOf,
  final,
  forms,
  problem,
  read,
  readEvents,
  readMetric,
  submit,
} from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import {
  ask,
  slotStarts,
  startTestCluster,
  type TestRedisGroup,
  whyNoRedisGroups,
} from '@vision-queue/test-support/redis-groups'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** The main paths of the other end-to-end tests, on a Redis Cluster; all of them: TEST_ON_CLUSTER=1 npx vitest run tests/e2e */
const reason = await whyNoRedisGroups()
if (reason !== null) console.warn(`The tests on a Redis Cluster are skipped. ${reason}`)

const models = ['shapes-vqa', 'shapes-classify']
const examples = readExamples()

describe.skipIf(reason !== null)('on a Redis Cluster of three nodes', () => {
  let redis: TestRedisGroup
  let system: System
  let otherUrl = ''

  beforeAll(async () => {
    redis = await startTestCluster()
    system = await startSystem({
      redis,
      apis: 2,
      apiEnv: { REDIS_COMMAND_TIMEOUT_MS: '1000' },
      consumerEnv: {
        MODELS: models.join(','),
        ENGINES: '1',
        ANSWER_TTL_MS: '600000',
        LOCK_MS: '2000',
        STALLED_CHECK_MS: '500',
        SHUTDOWN_TIMEOUT_MS: '1000',
      },
    })
    otherUrl = system.apis[1]?.url ?? ''
  })
  afterAll(async () => {
    await system.stop()
    await redis.stop()
  })

  function pick(index: number): Example {
    const found = examples[index]
    if (found === undefined) throw new Error('No such example')
    return found
  }

  async function post(model: string, input: object, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${system.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model, input }),
    })
  }

  /** Which member has the model's queue. */
  async function nodeOf(model: string): Promise<number> {
    const reply = await ask(redis.members[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', `vq:{${model}}`)
    return slotStarts.findLastIndex((start) => start <= Number(/:(\d+)/.exec(reply)?.[1]))
  }

  const picture = readFileSync(
    fileURLToPath(new URL('../../models/shapes-vqa/1/examples/scene-01.jpg', import.meta.url)),
  ).toString('base64')

  test.each(['json', 'multipart', 'raw'] as const)('pictures posted as %s are answered rightly', async (form) => {
    const answers = await Promise.all(
      examples.map(async (example) => {
        const response = await forms[form](system.url, example, { prefer: 'wait=30' })
        return { expected: example.answer, got: answerOf(jobSchema.parse(await response.json())) }
      }),
    )
    const wrong = answers.filter(({ expected, got }) => expected !== got)
    expect(wrong.slice(Math.floor(answers.length * 0.05))).toEqual([])
  })

  test('models whose queues lie on different nodes are all served, and every node holds some of it', async () => {
    const jobs = await Promise.all(
      models.map(async (model) => {
        const input = { image: picture, ...(model === 'shapes-vqa' ? { question: 'how many shapes are there?' } : {}) }
        return jobResponseSchema.parse(await (await post(model, input, { prefer: 'wait=30' })).json())
      }),
    )
    expect(jobs.map(({ status }) => status)).toEqual(models.map(() => 'succeeded'))
    expect(new Set(await Promise.all(models.map(nodeOf))).size).toBe(2)
    const sizes = await Promise.all(redis.members.map(async ({ port }) => ask(port, 'DBSIZE')))
    expect(sizes.map((reply) => Number(/:(\d+)/.exec(reply)?.[1]) > 0)).toEqual([true, true, true])
  })

  test('what a consumer says on one node is heard by every API process', async () => {
    const ids = await Promise.all(examples.map(async (example) => submit(system.url, { ...example })))
    const streams = await Promise.all(ids.map(async (id) => readEvents(await fetch(`${otherUrl}/jobs/${id}/events`))))
    const last = streams.map((events) => jobSchema.parse(JSON.parse(events.at(-1)?.data ?? '{}')))
    expect(last.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
    for (const [index, id] of ids.entries()) expect(await read(system.url, id)).toEqual(last[index])
  })

  test('a repeated question is answered from what is kept', async () => {
    const example = { ...pick(0), question: `${pick(0).question} ` }
    const first = await final(system.url, await submit(system.url, example))
    const again = jobSchema.parse(await (await forms.raw(otherUrl, example, { prefer: 'wait=30' })).json())
    expect([again.cached, again.output]).toEqual([true, first.output])
  })

  test('an upload serves many questions', async () => {
    const { image, type, question, answer } = pick(2)
    const uploaded = await fetch(`${system.url}/images`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: Uint8Array.from(image),
    })
    expect(uploaded.status).toBe(201)
    const { id } = imageResponseSchema.parse(await uploaded.json())
    const jobs = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const asked = await post(
          'shapes-vqa',
          { image: id, question: question.padEnd(question.length + index) },
          { prefer: 'wait=30' },
        )
        return jobSchema.parse(await asked.json())
      }),
    )
    expect(jobs.map(answerOf)).toEqual(jobs.map(() => answer))
    expect((await fetch(`${otherUrl}/images/${id}`, { method: 'DELETE' })).status).toBeLessThan(300)
  })

  test('metrics are read from the nodes together', async () => {
    const depths = await readMetric(otherUrl, 'vision_queue_batches_total')
    expect(depths.length).toBeGreaterThan(0)
    expect(await readMetric(otherUrl, 'vision_queue_redis_up')).toEqual([{ labels: {}, value: 1 }])
    expect((await fetch(`${otherUrl}/health/ready`)).status).toBe(200)
  })

  test('a consumer killed with -9 in the middle of its work loses no job', async () => {
    const [dead] = system.consumers
    await system.addConsumer()
    await system.waitForConsumers(2)
    const ids = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const example = pick(index % examples.length)
        return submit(system.url, { ...example, question: `${example.question}${' '.repeat(2 + index)}` })
      }),
    )
    dead?.signal('SIGKILL')
    const jobs: Job[] = await Promise.all(ids.map(async (id) => final(otherUrl, id)))
    expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
  })

  test('a frozen node is answered with 503 where it is needed, and all goes on when it thaws', async () => {
    const node = redis.members[await nodeOf('shapes-vqa')]
    node?.signal('SIGSTOP')
    const posted = await forms.json(system.url, pick(3))
    node?.signal('SIGCONT')
    expect(await problem(posted)).toMatchObject({ status: 503, code: 'queue_unavailable' })
    await until(async () => (await fetch(`${system.url}/health/ready`)).ok, 'the API is ready again')
    expect((await final(system.url, await submit(system.url, pick(4)))).status).toBe('succeeded')
  })
})
