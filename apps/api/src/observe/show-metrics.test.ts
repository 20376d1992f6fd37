import { expect, test } from 'vitest'

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
    `vision_queue_inference_ms_total{${consumer}} 80`,
    `vision_queue_preprocess_ms_total{${consumer}} 12`,
    `vision_queue_engine_restarts_total{${consumer}} 2`,
    `vision_queue_launches_total{${consumer},reason="idle"} 3`,
    `vision_queue_launch_predicted_ms_total{${consumer}} 70`,
    `vision_queue_launch_actual_ms_total{${consumer}} 84`,
    `vision_queue_launch_cost_ms{${consumer},part="per_item"} 4`,
    `vision_queue_batch_size_wanted{${consumer}} 16`,
    `vision_queue_capacity_jobs_per_second{${consumer}} 200`,
    'vision_queue_consumer_cpu_seconds_total{consumer="consumer-0",part="engines"} 2',
    'vision_queue_consumer_event_loop_delay_seconds{consumer="consumer-0"} 0.004',
    'vision_queue_redis_up 1',
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).toContain('vision_queue_process_cpu_seconds_total')
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
