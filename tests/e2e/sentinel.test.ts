import { jobResponseSchema } from '@vision-queue/protocol'
import { final, forms, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startTestSentinel, type TestSentinel, whyNoRedisGroups } from '@vision-queue/test-support/redis-groups'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const reason = await whyNoRedisGroups()
if (reason !== null) console.warn(`The tests of a Sentinel failover are skipped. ${reason}`)
const examples = readExamples()

describe.skipIf(reason !== null)('behind a Sentinel', () => {
  let redis: TestSentinel
  let system: System

  beforeAll(async () => {
    redis = await startTestSentinel()
    system = await startSystem({
      redis,
      apiEnv: { REDIS_COMMAND_TIMEOUT_MS: '500' },
      consumerEnv: { ENGINES: '1', LOCK_MS: '2000', STALLED_CHECK_MS: '500', SHUTDOWN_TIMEOUT_MS: '1000' },
    })
  })
  afterAll(async () => {
    await system.stop()
    await redis.stop()
  })

  function pick(index: number): Example {
    const found = examples[index % examples.length]
    if (found === undefined) throw new Error('No examples')
    return found
  }

  test('a failover under load: submissions succeed or get 503, what was accepted is done, by the same consumer', async () => {
    const [primary, replica] = redis.members
    if (primary === undefined || replica === undefined) throw new Error('A Sentinel watches two')
    const submissions: { at: number; status: number; id: string | null }[] = []
    const done = new AbortController()
    const client = async (): Promise<void> => {
      while (!done.signal.aborted) {
        const response = await forms.raw(system.url, pick(submissions.length))
        const { success, data } = jobResponseSchema.safeParse(await response.json())
        submissions.push({ at: performance.now(), status: response.status, id: success ? data.id : null })
        await pause(20)
      }
    }
    const clients = Promise.all([client(), client()])
    await pause(1000)
    const frozenAt = performance.now()
    primary.signal('SIGSTOP')
    await until(async () => (await redis.primaryPort()) === replica.port, 'the replica is promoted')
    const accepted = (): number => submissions.filter(({ at, status }) => at > frozenAt + 600 && status === 202).length
    await until(() => accepted() >= 50, 'submissions are accepted again')
    // It finds itself replaced, becomes a replica and drops what it holds.
    primary.signal('SIGCONT')
    await pause(1500)
    done.abort()
    await clients

    expect(submissions.map(({ status }) => status).filter((status) => status !== 202 && status !== 503)).toEqual([])
    const ids = submissions.flatMap(({ at, id }) => (id === null ? [] : [{ id, at }]))
    // What was accepted in the last moment may not have reached the replica: replication is asynchronous.
    const [sure, unsure] = [
      ids.filter(({ at }) => at < frozenAt - 500 || at > frozenAt + 600),
      ids.filter(({ at }) => at >= frozenAt - 500 && at <= frozenAt + 600),
    ]
    const jobs = await Promise.all(sure.map(async ({ id }) => final(system.url, id)))
    expect(jobs.map(({ status }) => status)).toEqual(sure.map(() => 'succeeded'))
    const lost = await Promise.all(
      unsure.map(async ({ id }) => (await fetch(`${system.url}/jobs/${id}`)).status === 404),
    )
    const again = submissions.find(({ at, status }) => at > frozenAt + 600 && status === 202)?.at ?? Number.NaN
    console.log(
      `${submissions.length} submissions, ${ids.length} accepted, ${submissions.length - ids.length} refused with 503, ` +
        `${lost.filter(Boolean).length} of the ${unsure.length} accepted around the failover lost; ` +
        `accepted again after ${Math.round(again - frozenAt)} ms`,
    )
    expect((await final(system.url, await submit(system.url, pick(0)))).status).toBe('succeeded')
  })
})

async function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
