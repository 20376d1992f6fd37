import { durationBounds } from '@vision-queue/queue'
import { expect, test } from 'vitest'

import { servedModel } from '../test-support/served-models.ts'
import { startApi } from '../test-support/start-api.ts'

test('models that generate text tell of their tokens, steps, sequences and memory; others have no such series', async () => {
  const api = await startApi()
  const model = servedModel({ name: 'shapes-chat' })
  const caption = servedModel({ name: 'caption' })
  const generation = {
    encodeMs: 500,
    prefillMs: 250,
    decodeMs: 2000,
    imagesKnown: 3,
    imagesNew: 4,
    running: 5,
    waiting: 2,
    reservedBytes: 900,
    heldBytes: 400,
    limitBytes: 1000,
  }
  const durations = { counts: durationBounds.map((bound) => (bound === 0.05 ? 2 : 0)), sum: 0.07 }
  const [consumer] = model.consumers
  if (consumer !== undefined) {
    consumer.stats = { ...consumer.stats, generation }
    consumer.work = {
      durations: {},
      tokens: { prompt: 70, completion: 30 },
      tokenTimes: { first_token: durations, prefill: durations, decode: durations, per_token: durations },
    }
  }
  const [other] = caption.consumers
  if (other !== undefined) other.stats = { ...other.stats, generation: { ...generation, limitBytes: 0 } }
  api.models.models = [model, caption, servedModel()]
  const text = await (await fetch(`${api.url}/metrics`)).text()
  const version = 'model="shapes-chat",version="1"'
  const own = `${version},consumer="consumer-0"`
  for (const line of [
    `vision_queue_tokens_total{${version},kind="completion"} 30`,
    ...['time_to_first_token', 'job_prefill', 'job_decode', 'time_per_output_token'].flatMap((name) => [
      `vision_queue_${name}_seconds_bucket{${version},le="0.025"} 0`,
      `vision_queue_${name}_seconds_bucket{${version},le="0.05"} 2`,
      `vision_queue_${name}_seconds_sum{${version}} 0.07`,
    ]),
    `vision_queue_generation_seconds_total{${own},phase="encode"} 0.5`,
    `vision_queue_generation_seconds_total{${own},phase="prefill"} 0.25`,
    `vision_queue_generation_seconds_total{${own},phase="decode"} 2`,
    `vision_queue_sequences{${own},state="running"} 5`,
    `vision_queue_sequences{${own},state="waiting"} 2`,
    `vision_queue_kv_cache_bytes{${own},state="reserved"} 900`,
    `vision_queue_kv_cache_bytes{${own},state="held"} 400`,
    `vision_queue_kv_cache_limit_bytes{${own}} 1000`,
    `vision_queue_feature_cache_images_total{${own},outcome="hit"} 3`,
    `vision_queue_feature_cache_images_total{${own},outcome="miss"} 4`,
  ]) {
    expect(text).toContain(`${line}\n`)
  }
  expect(text).toContain(
    'vision_queue_sequences{model="caption",version="1",consumer="consumer-0",state="running"} 5\n',
  )
  expect(text).not.toMatch(/vision_queue_(kv_cache|feature_cache)_\w+\{model="caption"/)
  expect(text).not.toMatch(/vision_queue_(sequences|generation_\w+|job_prefill\w+)\{model="shapes-vqa"/)
})
