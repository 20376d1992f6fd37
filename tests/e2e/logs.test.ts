import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { final, forms, read } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

type Line = Record<string, unknown>

const jobIdPattern = /job_[A-Za-z0-9_-]{21}/
const examples = readExamples()
const [found] = examples
/** An image that no engine has died of. */
const other = examples.find(({ image }) => found?.image.equals(image) === false)
let system: System
let url = ''

beforeAll(async () => {
  system = await startSystem({
    apis: 2,
    engineEntry: fileURLToPath(new URL('unruly/engine.ts', import.meta.url)),
    apiEnv: { LOG_LEVEL: 'debug' },
    consumerEnv: { LOG_LEVEL: 'debug', LOCK_MS: '2000', STALLED_CHECK_MS: '500', ENGINES: '1' },
  })
  // Of an API that lives on when the consumer is killed.
  url = system.apis.at(-1)?.url ?? ''
})
afterAll(async () => {
  await system.stop()
})

/** Submits as the request `name`, with a trace of its own, and resolves to the job's id and the fields of its lines. */
async function submitAs(
  name: string,
  { more = '', broken = false, example = found } = {},
): Promise<{ id: string; fields: Line }> {
  if (example === undefined) throw new Error('No examples')
  const image = broken ? example.image.subarray(0, example.image.length / 2) : example.image
  const headers = headersOf(name)
  const response = await forms.raw(url, { ...example, image, question: `${example.question} ${more}` }, headers)
  const { id } = jobResponseSchema.parse(await response.json())
  return { id, fields: { job_id: id, request_id: name, trace_id: traceIdOf(name) } }
}

function traceIdOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32)
}

function headersOf(name: string): Record<string, string> {
  return { 'x-request-id': name, traceparent: `00-${traceIdOf(name)}-00f067aa0ba902b7-01` }
}

/** Where both are one process, each line says whose it is. */
const linesOf = (app: string, processes: readonly RunningProcess[]): Line[] =>
  processes.flatMap((each) => each.logged()).filter((line) => line['app'] === app)
const apiLines = (): Line[] => linesOf('api', system.apis)
const consumerLines = (): Line[] => linesOf('consumer', system.consumers)
const ofJob = (lines: Line[], id: string): Line[] => lines.filter(({ job_id: jobId }) => jobId === id)
const figures = { queue_ms: expect.any(Number), preprocess_ms: expect.any(Number), inference_ms: expect.any(Number) }
const noFigures = { queue_ms: expect.any(Number), preprocess_ms: null, inference_ms: null, batch_size: null }
const model = { model: 'shapes-vqa', version: '1', total_ms: expect.any(Number), cached: false }

/** The one line that the consumers wrote when the job ended. */
async function endOf(id: string, among = consumerLines): Promise<Line> {
  const ends = (): Line[] => ofJob(among(), id).filter(({ status }) => status !== undefined)
  await until(async () => ends().length > 0, 'the end of the job is logged')
  expect(ends()).toHaveLength(1)
  return ends()[0] ?? {}
}

describe('request id and trace of a submission are in the lines of API and consumer about the job', () => {
  test('that succeeds', async () => {
    const { id, fields } = await submitAs('succeeds')
    await final(url, id)
    const end = { ...fields, ...model, ...figures, status: 'succeeded', code: null, attempts: 1, batch_size: 1 }
    expect(await endOf(id)).toMatchObject({ ...end, level: 30, msg: 'Job succeeded' })
    await expect
      .poll(() => ofJob(apiLines(), id))
      .toMatchObject([
        { ...fields, method: 'POST', route: '/jobs', status: 202 },
        // A request of its own.
        { route: '/jobs/:id', request_id: expect.stringMatching(/^req_/) },
      ])
  })

  test('that fails, and of its retry, whose request is another', async () => {
    const { id, fields } = await submitAs('fails', { broken: true })
    await final(url, id)
    const failed = { ...model, ...noFigures, status: 'failed', code: 'image_undecodable', attempts: 1 }
    expect(await endOf(id)).toMatchObject({ ...fields, ...failed, msg: 'Job failed' })
    const response = await fetch(`${url}/jobs/${id}/retry`, { method: 'POST', headers: headersOf('again') })
    const { id: retryId } = jobResponseSchema.parse(await response.json())
    await final(url, retryId)
    const again = { job_id: retryId, request_id: 'again', trace_id: traceIdOf('again') }
    expect(await endOf(retryId)).toMatchObject({ ...again, ...failed })
    expect(ofJob(apiLines(), retryId)[0]).toMatchObject({ ...again, route: '/jobs/:id/retry', status: 202 })
  })

  test('that kills its engine', async () => {
    const { id, fields } = await submitAs('kills', { more: '(die)' })
    await final(url, id)
    expect(await endOf(id)).toMatchObject({ ...fields, ...model, ...noFigures, code: 'engine_crashed' })
    expect(ofJob(consumerLines(), id)).toMatchObject([
      { ...fields, level: 40, msg: 'a job killed its engine' },
      { ...fields, level: 30, msg: 'Job failed' },
    ])
  })

  test('that is canceled while it runs', async () => {
    const { id, fields } = await submitAs('canceled', { more: '(block 1000)', example: other })
    await until(async () => (await read(url, id)).status !== 'queued', 'the job runs')
    const headers = { 'x-request-id': 'cancels' }
    await fetch(`${url}/jobs/${id}/cancel`, { method: 'POST', headers })
    expect(ofJob(apiLines(), id)[0]).toMatchObject(fields)
    const cancels = { job_id: id, request_id: 'cancels', route: '/jobs/:id/cancel', status: 200 }
    await expect.poll(() => ofJob(apiLines(), id).at(-1)).toMatchObject(cancels)
  })

  test('that another consumer takes over', async () => {
    const { id, fields } = await submitAs('taken-over', { more: '(block 1500)', example: other })
    await until(async () => (await read(url, id)).status !== 'queued', 'the job runs')
    system.consumers[0]?.signal('SIGKILL')
    const successor = await system.addConsumer()
    await final(url, id)
    const end = await endOf(id, () => successor.logged())
    expect(end).toMatchObject({ ...fields, ...model, ...figures, status: 'succeeded', attempts: 2 })
    expect(ofJob(consumerLines(), id)).toEqual([])
    holdsForAll(successor.logged())
  })
})

test('a refused submission is one line with its request and the code', async () => {
  await fetch(`${url}/jobs`, {
    method: 'POST',
    headers: { ...headersOf('refused'), 'content-type': 'image/png' },
  })
  const lines = (): Line[] => apiLines().filter(({ request_id: requestId }) => requestId === 'refused')
  await expect
    .poll(lines)
    .toMatchObject([{ route: '/jobs', status: 400, code: 'invalid_request', trace_id: traceIdOf('refused') }])
})

test('no line of a process that has to do with a job lacks the ids of job and request', () => {
  const [api, consumer] = [apiLines(), consumerLines()]
  expect(api.length).toBeGreaterThan(10)
  expect(consumer.length).toBeGreaterThan(5)
  holdsForAll([...api, ...consumer])
})

function holdsForAll(lines: Line[]): void {
  const about = lines.filter((line) => jobIdPattern.test(JSON.stringify(line)))
  expect(about.length).toBeGreaterThan(0)
  for (const line of about) {
    const ids = { job_id: expect.stringMatching(jobIdPattern), request_id: expect.any(String) }
    expect(line).toMatchObject(ids)
  }
}

test('what the configurations for Elasticsearch and Loki and docs/logs.md name is in real lines', async () => {
  await submitAs('named')
  await until(() => consumerLines().some(({ msg }) => msg === 'Job succeeded'), 'a job has succeeded')
  const lines = [...apiLines(), ...consumerLines()]
  const inLines = new Set(lines.flatMap((line) => Object.keys(line)))
  const textOf = async (file: string): Promise<string> => readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
  const alloy = /expressions = \{(.*)\}/.exec(await textOf('infra/logs/config.alloy'))?.[1] ?? ''
  const table = (await textOf('docs/logs.md')).split('\n').filter((line) => line.startsWith('| `'))
  const named = [
    ...[...(await textOf('infra/logs/filebeat.yml')).matchAll(/from: vision_queue\.(\w+)/g)].map(([, name]) => name),
    ...[...alloy.matchAll(/= "(\w+)"/g)].map(([, name]) => name),
    ...table.flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)),
  ]
  expect(named.length).toBeGreaterThan(30)
  // Errors are in lines only where there was one.
  expect(named.filter((name) => name !== undefined && !inLines.has(name) && name !== 'err')).toEqual([])
})
