import { imageResponseSchema, jobSchema } from '@vision-queue/protocol'
import { answerOf, final, problem } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, test } from 'vitest'

const imageTtlMs = 4000
const examples = readExamples()
let system: System

beforeAll(async () => {
  system = await startSystem({
    // A consumer is frozen whose API has to answer.
    composition: 'apart',
    apiEnv: { IMAGE_TTL_MS: String(imageTtlMs) },
  })
})
afterAll(async () => {
  await system.stop()
})

async function upload(index: number): Promise<{ id: string; question: string; answer: string }> {
  const example = examples[index]
  if (example === undefined) throw new Error('No such example')
  const response = await fetch(`${system.url}/images`, {
    method: 'POST',
    headers: { 'content-type': example.type },
    body: Uint8Array.from(example.image),
  })
  expect(response.status).toBe(201)
  return { ...imageResponseSchema.parse(await response.json()), question: example.question, answer: example.answer }
}

async function ask(image: string, question: string, prefer = ''): Promise<Response> {
  return fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer },
    body: JSON.stringify({ model: 'shapes-vqa', input: { image, question } }),
  })
}

test('twenty questions about one upload are all answered as by the image itself', async () => {
  const { id, question, answer } = await upload(0)
  const questions = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? question : `${question} ${index}`))
  const jobs = await Promise.all(
    questions.map(async (text) => {
      const response = await ask(id, text, 'wait=30')
      expect(response.status).toBe(200)
      return jobSchema.parse(await response.json())
    }),
  )
  expect(jobs.map(({ status }) => status)).toEqual(jobs.map(() => 'succeeded'))
  const asked = jobs.filter((_, index) => index % 2 === 0)
  expect(asked.map(answerOf)).toEqual(asked.map(() => answer))
})

test('a job that waits for longer than the upload can be used is answered, and the upload is gone by then', async () => {
  const [consumer] = system.consumers
  if (consumer === undefined) throw new Error('No consumer')
  const { id, question, answer } = await upload(1)
  consumer.signal('SIGSTOP')
  let job: { id: string }
  try {
    job = jobSchema.parse(await (await ask(id, question)).json())
    await until(async () => (await fetch(`${system.url}/images/${id}`)).status === 404, 'the upload has expired')
    const late = await problem(await ask(id, question))
    expect(late).toMatchObject({ status: 404, code: 'image_not_found' })
  } finally {
    consumer.signal('SIGCONT')
  }
  const done = await final(system.url, job.id)
  expect([done.status, answerOf(done)]).toEqual(['succeeded', answer])
})
