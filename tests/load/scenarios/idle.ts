import { isSuccess, latencyMs, percentiles } from '@vision-queue/load/summary'

import { pingRedis } from '../ask-redis.ts'
import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'

/** How long an answer takes when nothing else is asked, beyond what decoding and inference take. */
export const idle: Scenario = {
  name: 'idle',
  title: 'Latency at 20 requests a second',
  usual: true,
  async run({ long, sharedService }) {
    const service = await sharedService()
    const ping = percentiles(await pingRedis(service.system.redis.url, { times: 100, everyMs: 50 }))
    const { summary, samples } = await service.measure({
      pace: { kind: 'rate', perSecond: 20, arrivals: 'poisson' },
      requests: (await shapesCorpus()).requests,
      // The load generator is a new process, and at this rate it takes seconds until it is compiled.
      warmUpSeconds: 5,
      seconds: long ? 120 : 15,
    })
    const jobs = samples.flatMap((sample) => {
      const { times, scheduledMs } = sample
      if (!isSuccess(sample) || times === null || scheduledMs < 0) return []
      const whole = latencyMs(sample)
      return [{ whole, ...times, ours: whole - times.preprocess_ms - times.inference_ms }]
    })
    const rows = (
      [
        ['request to answer', (job) => job.whole],
        ['decoding, resizing, tokenising', (job) => job.preprocess_ms],
        ['session run', (job) => job.inference_ms],
        ['accepted to taken by the consumer', (job) => job.queue_ms],
        ['request to answer without decoding and session run', (job) => job.ours],
      ] as [string, (job: (typeof jobs)[number]) => number][]
    ).map(([name, of]) => {
      const { p50, p95, p99, max } = percentiles(jobs.map(of))
      return [name, p50, p95, p99, max]
    })
    rows.push([
      'for scale: a PING to Redis and its answer, 20 a second, before',
      ping.p50,
      ping.p95,
      ping.p99,
      ping.max,
    ])
    const ours = percentiles(jobs.map((job) => job.ours))
    const target = { sense: 'at most' as const, unit: 'ms', digits: 1, note: `${jobs.length} jobs` }
    return {
      notes: [
        `Open loop, Poisson arrivals at 20/s, so some requests meet others; each counts from the time at which it was due, the generator's own lateness (p99 ${summary.lateness.p99.toFixed(1)} ms) included. Prefer: wait. Errors: ${summary.errors}. A job goes twelve times from one process to another: to the API and back, from there to Redis and back twice, to the consumer, to Redis and back, to an engine and back, and by Redis to the API. A PING goes twice; what that takes on this machine is the table’s last row.`,
      ],
      targets: [
        { ...target, name: 'Idle latency beyond decoding and inference, p50', limit: 5, measured: ours.p50 },
        { ...target, name: 'Idle latency beyond decoding and inference, p99', limit: 20, measured: ours.p99 },
      ],
      tables: [table('Milliseconds', ['', ['p50', 1], ['p95', 1], ['p99', 1], ['max', 1]], rows)],
    }
  },
}
