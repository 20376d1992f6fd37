import { release } from '@vision-queue/process'
import { durationBounds } from '@vision-queue/queue'
import type { ServedModel } from '@vision-queue/queue/producer'
import { expect, test, vi } from 'vitest'
import { z } from 'zod'

import { png } from '../test-support/images.ts'
import { servedModel } from '../test-support/served-models.ts'
import { postJson, startApi, type TestApi } from '../test-support/start-api.ts'

async function scrape(api: TestApi): Promise<string> {
  const response = await fetch(`${api.url}/metrics`)
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ])
  return response.text()
}

test('a scrape holds what this process did, what is queued and what consumers announced', async () => {
  const api = await startApi()
  api.models.models = [servedModel(), servedModel({ name: 'tiny-clip' })]
  await postJson(api, { model: 'shapes-vqa', input: { image: png.toString('base64'), question: '?' } })
  await fetch(`${api.url}/jobs/job_aaaaaaaaaaaaaaaaaaaaa`)
  await fetch(`${api.url}/nowhere/42`)
  const text = await scrape(api)
  const consumer = 'model="shapes-vqa",version="1",consumer="consumer-0"'
  for (const line of [
    'vision_queue_model_status{model="shapes-vqa",version="1",status="ready"} 1',
    'vision_queue_jobs_submitted_total{model="shapes-vqa"} 1',
    'vision_queue_http_requests_total{route="/jobs",method="POST",status="202"} 1',
    'vision_queue_http_requests_total{route="/jobs/:id",method="GET",status="404"} 1',
    'vision_queue_http_requests_total{route="unmatched",method="GET",status="404"} 1',
    'vision_queue_http_request_duration_seconds_count{route="/jobs",method="POST"} 1',
    'vision_queue_queue_jobs{model="shapes-vqa"} 1',
    'vision_queue_queue_bytes{model="shapes-vqa"} 100',
    'vision_queue_consumers{model="shapes-vqa",version="1"} 1',
    `vision_queue_batches_total{${consumer},batch_size="8"} 1`,
    `vision_queue_jobs_finished_total{${consumer},status="succeeded"} 9`,
    `vision_queue_inference_seconds_total{${consumer}} 0.08`,
    `vision_queue_preprocess_seconds_total{${consumer}} 0.012`,
    `vision_queue_engine_restarts_total{${consumer}} 2`,
    `vision_queue_launches_total{${consumer},reason="idle"} 3`,
    `vision_queue_launch_predicted_seconds_total{${consumer}} 0.07`,
    `vision_queue_launch_actual_seconds_total{${consumer}} 0.084`,
    `vision_queue_launch_cost_seconds{${consumer},part="per_item"} 0.004`,
    `vision_queue_batch_size_wanted{${consumer}} 16`,
    `vision_queue_capacity_jobs_per_second{${consumer}} 200`,
    'vision_queue_consumer_cpu_seconds_total{consumer="consumer-0",part="engines"} 2',
    'vision_queue_consumer_event_loop_delay_seconds{consumer="consumer-0"} 0.004',
    'vision_queue_redis_up 1',
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).toContain('process_cpu_seconds_total')
})

test('scrapes do not add up, and a consumer that is gone leaves', async () => {
  const api = await startApi()
  await scrape(api)
  expect(await scrape(api)).toContain('batch_size="8"} 1\n')
  api.models.models = [servedModel({}, 0)]
  const text = await scrape(api)
  expect(text).not.toContain('consumer-0')
  expect(text).toContain('vision_queue_consumers{model="shapes-vqa",version="1"} 0\n')
})

test('concurrent scrapes are each whole', async () => {
  const api = await startApi()
  const texts = await Promise.all(Array.from({ length: 8 }, () => scrape(api)))
  for (const text of texts) expect(text).toContain('batch_size="8"} 1\n')
})

test('without Redis the page still has what this process counted', async () => {
  const api = await startApi()
  await scrape(api)
  api.models.down = true
  const text = await scrape(api)
  expect(text).toContain('vision_queue_redis_up 0\n')
  expect(text).toContain('vision_queue_http_requests_total{route="/metrics"')
  expect(text).not.toContain('consumer-0')
})

test('what all API processes know is told by one of them, and the others say that one does', async () => {
  const api = await startApi()
  api.models.figuresElsewhere = true
  const text = await scrape(api)
  expect(text).not.toMatch(/^vision_queue_(consumers|queue_jobs|batches_total|drain_seconds)\b.* /m)
  expect(text).toMatch(/^# What all API processes know .* is told by another one/)
  expect(text).toContain('vision_queue_redis_up 1\n')
})

test('jobs without a consumer take time by what one got through, so that somebody who starts consumers by it starts one', async () => {
  const api = await startApi()
  api.models.models = [servedModel({}, 0), { ...servedModel({ name: 'new' }, 0), rememberedCapacity: null }]
  expect(await scrape(api)).toContain('vision_queue_drain_seconds{model="shapes-vqa"} 0\n')
  await postJson(api, { model: 'shapes-vqa', input: { image: png.toString('base64'), question: '?' } })
  await postJson(api, { model: 'new', input: { image: png.toString('base64'), question: '?' } })
  const away = await scrape(api)
  expect(away).toContain('vision_queue_drain_seconds{model="shapes-vqa"} 0.005\n')
  expect(away).toContain('vision_queue_drain_seconds{model="new"} 1\n')
  expect(away).toContain('vision_queue_remembered_capacity_jobs_per_second{model="shapes-vqa",version="1"} 200\n')
  expect(away).not.toMatch(/^vision_queue_capacity_jobs_per_second\{/m)
  // Two consumers take half as long.
  api.models.models = [servedModel({}, 2), servedModel({ name: 'new' }, 0)]
  expect(await scrape(api)).toContain('vision_queue_drain_seconds{model="shapes-vqa"} 0.0025\n')
})

test('the GPUs of a consumer are gauges by GPU; what one does not tell is left out', async () => {
  const api = await startApi()
  const model = servedModel()
  const gpu = { uuid: 'GPU-a', name: 'A', utilization: 0.5, memoryUsedBytes: 10, memoryTotalBytes: 20 }
  const [consumer] = model.consumers
  if (consumer !== undefined) {
    consumer.gpus = [
      { index: 0, ...gpu, temperatureCelsius: 40, powerWatts: 60 },
      { index: 1, ...gpu, uuid: 'GPU-b', utilization: null, temperatureCelsius: null, powerWatts: null },
    ]
  }
  api.models.models = [model]
  const text = await scrape(api)
  const labels = (index: number, uuid: string): string => `{consumer="consumer-0",gpu="${index}",uuid="${uuid}"}`
  for (const line of [
    `vision_queue_gpu_utilization_ratio${labels(0, 'GPU-a')} 0.5`,
    `vision_queue_gpu_memory_used_bytes${labels(1, 'GPU-b')} 10`,
    `vision_queue_gpu_memory_total_bytes${labels(1, 'GPU-b')} 20`,
    `vision_queue_gpu_temperature_celsius${labels(0, 'GPU-a')} 40`,
    `vision_queue_gpu_power_watts${labels(0, 'GPU-a')} 60`,
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).not.toMatch(/gpu_(utilization_ratio|power_watts|temperature_celsius)\{.*GPU-b/)
})

test('where Redis takes no writes, what can be read is told all the same', async () => {
  const api = await startApi()
  api.models.figuresElsewhere = 'refused'
  const text = await scrape(api)
  expect(text).toContain('vision_queue_consumers{model="shapes-vqa",version="1"} 1\n')
  expect(text).toContain('vision_queue_redis_up 1\n')
})

/** A consumer that has taken so many jobs of `shapes-vqa`, each of which took 4 ms, and failed one. */
function consumerWith(id: string, jobs: number): ServedModel['consumers'][number] {
  const [consumer] = servedModel().consumers
  if (consumer === undefined) throw new Error('a model without a consumer')
  const counts = durationBounds.map((bound) => (bound === 0.005 ? jobs : 0))
  const durations = { counts: [...counts, 0], sum: jobs * 0.004 }
  return {
    ...consumer,
    id,
    work: { durations: { queue: durations, total: durations }, tokens: { prompt: 2 * jobs, completion: jobs } },
    jobs: { 'shapes-vqa': { attempts: { first: jobs, takeover: 1 }, failures: { inference_failed: 1 } } },
  }
}

test('how long jobs take and why they fail is told over all consumers, and does not fall when one leaves', async () => {
  const api = await startApi()
  const model = servedModel()
  api.models.models = [{ ...model, consumers: [consumerWith('a', 4), consumerWith('b', 6)] }]
  const both = await scrape(api)
  const version = 'model="shapes-vqa",version="1"'
  for (const line of [
    `vision_queue_job_stage_seconds_bucket{${version},stage="queue",le="0.0025"} 0`,
    `vision_queue_job_stage_seconds_bucket{${version},stage="queue",le="0.005"} 10`,
    `vision_queue_job_stage_seconds_bucket{${version},stage="queue",le="+Inf"} 10`,
    `vision_queue_job_stage_seconds_count{${version},stage="queue"} 10`,
    `vision_queue_job_duration_seconds_count{${version}} 10`,
    `vision_queue_job_duration_seconds_sum{${version}} 0.04`,
    `vision_queue_tokens_total{${version},kind="prompt"} 20`,
    'vision_queue_job_attempts_total{model="shapes-vqa",kind="takeover"} 2',
    'vision_queue_jobs_failed_total{model="shapes-vqa",code="inference_failed"} 2',
  ]) {
    expect(both).toContain(`${line}\n`)
  }
  api.models.models = [{ ...model, consumers: [consumerWith('b', 7)] }]
  expect(await scrape(api)).toContain(`vision_queue_job_duration_seconds_count{${version}} 11\n`)
})

test('what was counted while another process told it is not told a second time', async () => {
  const api = await startApi()
  const told = async (jobs: number): Promise<string> => {
    api.models.models = [{ ...servedModel(), consumers: [consumerWith('a', jobs)] }]
    return scrape(api)
  }
  const count = 'vision_queue_job_duration_seconds_count{model="shapes-vqa",version="1"}'
  expect(await told(5)).toContain(`${count} 5\n`)
  api.models.figuresElsewhere = true
  expect(await told(50)).not.toContain(count)
  api.models.figuresElsewhere = false
  expect(await told(53)).toContain(`${count} 8\n`)
})

test('what waits and what runs, engines, open requests and Redis are told', async () => {
  const api = await startApi()
  await postJson(api, { model: 'shapes-vqa', input: { image: png.toString('base64'), question: '?' } })
  const text = await scrape(api)
  for (const line of [
    'vision_queue_jobs_waiting{model="shapes-vqa"} 1',
    'vision_queue_jobs_running{model="shapes-vqa"} 0',
    'vision_queue_oldest_waiting_job_seconds{model="shapes-vqa"} 3',
    'vision_queue_engines{model="shapes-vqa",version="1",state="up"} 1',
    'vision_queue_redis_memory_used_bytes{node=""} 1000',
    'vision_queue_redis_snapshot_ok{node=""} 0',
    // The scrape itself.
    'vision_queue_http_requests_in_flight 1',
    `vision_queue_build_info{release="${release}",node_version="${process.version}",part="api"} 1`,
  ]) {
    expect(text).toContain(`${line}\n`)
  }
})

test('an event stream is counted while it is open', async () => {
  const api = await startApi()
  const accepted = await postJson(api, {
    model: 'shapes-vqa',
    input: { image: png.toString('base64'), question: '?' },
  })
  const { urls } = z.object({ urls: z.object({ events: z.string() }) }).parse(await accepted.json())
  const hangUp = new AbortController()
  const stream = await fetch(`${api.url}${urls.events}`, { signal: hangUp.signal })
  expect(stream.status).toBe(200)
  const open = 'vision_queue_http_open_streams{route="/jobs/:id/events"}'
  expect(await scrape(api)).toContain(`${open} 1\n`)
  hangUp.abort()
  await vi.waitFor(async () => expect(await scrape(api)).toContain(`${open} 0\n`))
})
