import { fileURLToPath } from 'node:url'

import { final, readMetric, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

const unrulyEngine = fileURLToPath(new URL('unruly/engine.ts', import.meta.url))
/** Far above any honest stall of this machine, so that only waiting for the model can reach it. */
const runMs = 2000

let system: System
beforeAll(async () => {
  system = await startSystem({ engineEntry: unrulyEngine, consumerEnv: { ENGINES: '1' } })
})
afterAll(async () => {
  await system.stop()
})

test('no event loop of API and consumer stands still while a slow model runs', async () => {
  const [example] = readExamples()
  if (example === undefined) throw new Error('No examples')
  const delays: number[] = []
  const id = await submit(system.url, { ...example, question: `${example.question} (block ${runMs})` })
  const done = final(system.url, id)
  const sampling = setInterval(() => {
    Promise.all([
      readMetric(system.url, 'vision_queue_consumer_event_loop_delay_seconds'),
      readMetric(system.url, 'nodejs_eventloop_lag_max_seconds'),
    ]).then(
      (metrics) => delays.push(...metrics.flat().map(({ value }) => value * 1000)),
      () => {},
    )
  }, 200)
  const job = await done
  clearInterval(sampling)
  expect(job.metrics?.inference_ms).toBeGreaterThanOrEqual(runMs)
  expect(delays.length).toBeGreaterThan(4)
  expect(Math.max(...delays)).toBeLessThan(runMs / 4)
})
