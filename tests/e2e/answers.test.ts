import { jobSchema } from '@vision-queue/protocol'
import { answerOf, final, forms, read, readEvents, readMetric, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const examples = readExamples()
let system: System
let otherUrl: string

beforeAll(async () => {
  system = await startSystem({ apis: 2, consumers: 1 })
  otherUrl = system.apis[1]?.url ?? ''
})
afterAll(async () => {
  await system.stop()
})

function firstExample(): Example {
  const [example] = examples
  if (example === undefined) throw new Error('No examples')
  return example
}

describe('the answer', () => {
  test.each(['json', 'multipart', 'raw'] as const)(
    'of at least 95 %% of the pictures is right, posted as %s',
    async (form) => {
      expect(new Set(examples.map(({ image }) => image.toString('base64'))).size).toBeGreaterThanOrEqual(20)
      const answers = await Promise.all(
        examples.map(async (example) => {
          const response = await forms[form](system.url, example, { prefer: 'wait=30' })
          expect(response.status).toBe(200)
          const job = jobSchema.parse(await response.json())
          return { asked: example.question, expected: example.answer, got: answerOf(job) }
        }),
      )
      const wrong = answers.filter(({ expected, got }) => expected !== got)
      // As a list, so that a failure shows which.
      expect(wrong.slice(Math.floor(answers.length * 0.05))).toEqual([])
    },
  )

  test('of many clients at once belongs to each one’s own question, and batches form', async () => {
    const asked = Array.from({ length: 4 }, () => examples).flat()
    const alone = await Promise.all(
      examples.map(async (example) => answerOf(await final(system.url, await submit(system.url, example)))),
    )
    const together = await Promise.all(
      asked.map(async (example) => answerOf(await final(otherUrl, await submit(system.url, example)))),
    )
    expect(together).toEqual(Array.from({ length: 4 }, () => alone).flat())
    await expect
      .poll(
        async () => {
          const batches = await readMetric(system.url, 'vision_queue_batches_total')
          return batches
            .filter(({ labels }) => Number(labels['batch_size']) > 1)
            .reduce((sum, { value }) => sum + value, 0)
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(0)
  })
})

describe('the ways to wait', () => {
  test('all give the same final job, from either API process', async () => {
    const posted = await forms.json(system.url, firstExample(), { prefer: 'wait=30' })
    expect(posted.headers.get('preference-applied')).toMatch(/^wait/)
    const waited = jobSchema.parse(await posted.json())
    expect(waited.status).toBe('succeeded')
    const { id } = waited
    for (const url of [system.url, otherUrl]) {
      expect(await read(url, id)).toEqual(waited)
      expect(await read(url, id, 10)).toEqual(waited)
      const events = await readEvents(await fetch(`${url}/jobs/${id}/events`))
      const last = events.at(-1)
      expect(jobSchema.parse(JSON.parse(last?.data ?? '{}'))).toEqual(waited)
    }
  })

  test('reach across API processes: submitted on one, waited for on the other', async () => {
    const ids = await Promise.all(examples.slice(0, 8).map(async (example) => submit(system.url, example)))
    const jobs = await Promise.all(
      ids.map(async (id, index) => {
        if (index % 2 === 0) return final(otherUrl, id)
        const events = await readEvents(await fetch(`${otherUrl}/jobs/${id}/events`))
        return jobSchema.parse(JSON.parse(events.at(-1)?.data ?? '{}'))
      }),
    )
    expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
    expect(jobs.map(({ id }) => id)).toEqual(ids)
  })

  test('a finished job tells where its time went and when its result goes', async () => {
    const job = await final(system.url, await submit(system.url, firstExample()))
    expect(job).toMatchObject({ model: 'shapes-vqa', version: '1', attempts: 1, cached: false, error: null })
    expect(job.metrics?.batch_size).toBeGreaterThanOrEqual(1)
    expect(job.metrics?.inference_ms).toBeGreaterThan(0)
    const [created, started, completed, expires] = [
      job.created_at,
      job.started_at,
      job.completed_at,
      job.expires_at,
    ].map((time) => Date.parse(time ?? ''))
    expect([created, started, completed, expires]).toEqual(
      [created, started, completed, expires].toSorted((a, b) => Number(a) - Number(b)),
    )
  })
})
