import { createServer } from 'node:http'
import { once } from 'node:events'

import { noModelStats } from '@vision-queue/protocol'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'

import type { ConsumerView } from './consumer-health.ts'
import { openHealthServer } from './health-server.ts'

const log = pino({ level: 'silent' })

function model(changes: Partial<ConsumerView['models'][number]> = {}): ConsumerView['models'][number] {
  return {
    name: 'm',
    version: '1',
    status: 'ready',
    serving: true,
    error: null,
    manifest: null,
    engines: 3,
    enginesUp: 2,
    stats: noModelStats,
    ...changes,
  }
}

async function serve(view: Partial<ConsumerView>, metricsToken = ''): Promise<string> {
  const read = (): ConsumerView => ({ announcedAt: performance.now(), models: [model()], closing: false, ...view })
  const server = await openHealthServer({
    host: '127.0.0.1',
    port: 0,
    metricsToken,
    lifetimeMs: 6000,
    read,
    log,
  })
  onTestFinished(() => server.close())
  return `http://127.0.0.1:${server.port}`
}

test('a consumer that runs jobs is live and ready', async () => {
  const url = await serve({})
  for (const path of ['/health', '/health/live', '/health/ready', '/health/ready?x=1']) {
    expect([path, (await fetch(url + path)).status]).toEqual([path, 200])
  }
  expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({ status: 'ready', missing: [] })
  const head = await fetch(`${url}/health/ready`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
})

test.each<[string, Partial<ConsumerView>, string, string]>([
  ['Redis was never reached', { announcedAt: null }, 'redis', 'Redis takes no announcement of this consumer.'],
  [
    'Redis has taken nothing for three heartbeats',
    { announcedAt: performance.now() - 3_600_000 },
    'redis',
    'Redis takes no announcement of this consumer.',
  ],
  ['there is no model', { models: [] }, 'models', 'No model is there to be served: see MODELS and MODEL_REPOSITORY.'],
  [
    'no model has an engine, with what each says',
    {
      models: [
        model({ status: 'loading', enginesUp: 0, error: 'It ended.' }),
        model({ status: 'unloaded', enginesUp: 0 }),
      ],
    },
    'models',
    'No model has an engine that can take jobs. m@1: loading, It ended.',
  ],
  ['it is being stopped', { closing: true }, 'stopping', 'The consumer is being stopped.'],
])('not ready, and live all the same: %s', async (_, view, missing, detail) => {
  const url = await serve(view)
  const ready = await fetch(`${url}/health/ready`)
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'not_ready', missing: [missing], detail }])
  expect((await fetch(`${url}/health/live`)).status).toBe(200)
})

test('metrics tell what only the consumer knows, and nothing that an API process tells', async () => {
  const text = await (await fetch(`${await serve({})}/metrics`)).text()
  for (const line of [
    'vision_queue_consumer_engines{model="m",version="1",state="up"} 2',
    'vision_queue_consumer_engines{model="m",version="1",state="down"} 1',
    'vision_queue_consumer_model_status{model="m",version="1",status="ready"} 1',
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).toMatch(/^vision_queue_announcement_age_seconds 0\.\d+$/m)
  expect(text).toMatch(/^process_cpu_seconds_total \d/m)
  expect(text).not.toMatch(/^vision_queue_(batches_total|jobs_finished_total|consumers|capacity_jobs_per_second)\b/m)
})

test('where a token is set, metrics are for who has it', async () => {
  const url = await serve({}, 'secret')
  expect((await fetch(`${url}/metrics`)).status).toBe(401)
  expect((await fetch(`${url}/metrics`, { headers: { Authorization: 'Bearer wrong' } })).status).toBe(401)
  expect((await fetch(`${url}/metrics`, { headers: { Authorization: 'Bearer secret' } })).status).toBe(200)
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
})

test('all else is refused', async () => {
  const url = await serve({})
  expect((await fetch(`${url}/jobs`)).status).toBe(404)
  expect((await fetch(`${url}/health`, { method: 'POST', body: 'x' })).status).toBe(405)
})

test('a taken port is one sentence that names the setting', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  const address = other.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const opening = openHealthServer({
    host: '127.0.0.1',
    port,
    metricsToken: '',
    lifetimeMs: 6000,
    read: () => ({ announcedAt: null, models: [], closing: false }),
    log,
  })
  await expect(opening).rejects.toThrow(`CONSUMER_PORT: ${port} on 127.0.0.1 is taken by another program.`)
})
