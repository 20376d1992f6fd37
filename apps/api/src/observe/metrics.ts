import { release } from '@vision-queue/process'
import { toVisionQueueError } from '@vision-queue/protocol'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { Accepted } from '../intake/submission.ts'
import { replaceLoopMetrics } from './loop-metrics.ts'

/** What the API counts itself; everything is in a registry of its own, so that tests don't share it. */
export interface Metrics {
  registry: Registry
  requests: Counter<'route' | 'method' | 'status'>
  requestSeconds: Histogram<'route' | 'method'>
  submitted: Counter<'model'>
  refused: Counter<'code'>
  /** By where the answer came from: `memory`, `redis`, or `none` where it had to be computed. */
  answers: Counter<'model' | 'from'>
  /** By what came of it, as in fetch-image.ts. */
  imageFetches: Counter<'outcome'>
  redisUp: Gauge
  requestsInFlight: Gauge
  /** By route pattern. */
  openStreams: Gauge<'route'>
  /** To be called when a request arrives: delays of the event loop are measured while there are requests. */
  noteRequest: () => void
}

const prefix = 'vision_queue_'
const longestTimerMs = 2 ** 31 - 1

/** Counts a submission as accepted or refused, by whichever route it came; one that was answered with an earlier one's job is none. */
export async function countSubmission(
  { submitted, refused, answers }: Pick<Metrics, 'submitted' | 'refused' | 'answers'>,
  submission: Promise<Accepted>,
): Promise<Accepted> {
  try {
    const accepted = await submission
    if (accepted.replayed) return accepted
    const { model } = accepted.job
    submitted.inc({ model })
    answers.inc({ model, from: accepted.answeredFrom ?? 'none' })
    return accepted
  } catch (error) {
    refused.inc({ code: toVisionQueueError(error).code })
    throw error
  }
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // The pace at which its own measure of the event loop wakes us: never, see replaceLoopMetrics.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: longestTimerMs })
  const noteRequest = replaceLoopMetrics(registry)
  // Gauges whose names end like a counter's, which promtool objects to. The same is told by type of handle.
  for (const each of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${each}_total`)
  new Gauge({
    name: `${prefix}build_info`,
    help: 'The release that runs, and its part: always 1',
    labelNames: ['release', 'node_version', 'part'],
    registers,
  }).set({ release, node_version: process.version, part: 'api' }, 1)
  return {
    registry,
    noteRequest,
    requests: new Counter({
      name: `${prefix}http_requests_total`,
      help: 'Answered requests by route pattern, method and status',
      labelNames: ['route', 'method', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: `${prefix}http_request_duration_seconds`,
      help: 'From the headers of a request to those of its answer, by route pattern and method',
      labelNames: ['route', 'method'],
      // Long-polls last up to a minute.
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    submitted: new Counter({
      name: `${prefix}jobs_submitted_total`,
      help: 'Jobs accepted by this process, by model',
      labelNames: ['model'],
      registers,
    }),
    refused: new Counter({
      name: `${prefix}jobs_refused_total`,
      help: 'Submissions refused by this process, by error code',
      labelNames: ['code'],
      registers,
    }),
    answers: new Counter({
      name: `${prefix}answers_total`,
      help: 'Submissions that an earlier answer could serve, by where one was found: memory, redis, none',
      labelNames: ['model', 'from'],
      registers,
    }),
    imageFetches: new Counter({
      name: `${prefix}image_fetches_total`,
      help: 'Images that were to be fetched from an address, by outcome: fetched, or why not',
      labelNames: ['outcome'],
      registers,
    }),
    requestsInFlight: new Gauge({
      name: `${prefix}http_requests_in_flight`,
      help: 'Requests without an answer yet, those that wait for a job included',
      registers,
    }),
    openStreams: new Gauge({
      name: `${prefix}http_open_streams`,
      help: 'Event streams that are open, by route pattern',
      labelNames: ['route'],
      registers,
    }),
    redisUp: new Gauge({
      name: `${prefix}redis_up`,
      help: 'Whether Redis could be asked at this scrape; where 0, everything read from Redis is left out',
      registers,
    }),
  }
}
