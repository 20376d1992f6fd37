import type { Backlog, ServedModel, ServingConsumer } from '@vision-queue/queue/producer'
import type { RedisFigures } from '@vision-queue/redis'
import { Counter, Gauge, type Registry } from 'prom-client'

import { createFleetMetrics, createRedisMetrics } from './fleet-metrics.ts'
import type { FleetCount } from './fleet-sums.ts'
import { createGenerationMetrics } from './generation-metrics.ts'
import { createGpuMetrics } from './gpu-metrics.ts'

/** One look at Redis: what consumers announced, and what is queued per model name. */
export interface ServedSnapshot {
  models: readonly ServedModel[]
  depths: ReadonlyMap<string, Depth>
  /** Sums over all consumers, those that are gone included. */
  counts: readonly FleetCount[]
  redis: readonly RedisFigures[]
}

/** The unfinished jobs of a model. */
export interface Depth extends Backlog {
  jobs: number
  bytes: number
}

/**
 * The metrics that are not this process' own: replaced as a whole at each scrape, so that consumers
 * that are gone leave the page too. Counters start over with their consumer, as Prometheus expects.
 */
export function createServedMetrics(registry: Registry): (snapshot: ServedSnapshot | null) => void {
  const metrics = registerMetrics(registry)
  const tellGenerating = createGenerationMetrics(registry)
  const tellGpus = createGpuMetrics(registry)
  const tellFleet = createFleetMetrics(registry)
  const tellRedis = createRedisMetrics(registry)
  return (snapshot) => {
    for (const metric of Object.values(metrics)) metric.reset()
    tellFleet(snapshot?.counts ?? [])
    tellRedis(snapshot?.redis ?? [])
    for (const [model, { jobs, bytes, waiting, running, oldestWaitingMs }] of snapshot?.depths ?? []) {
      metrics.queueJobs.set({ model }, jobs)
      metrics.queueBytes.set({ model }, bytes)
      metrics.waiting.set({ model }, waiting)
      metrics.running.set({ model }, running)
      metrics.oldest.set({ model }, oldestWaitingMs / 1000)
    }
    for (const [model, seconds] of drainSeconds(snapshot)) metrics.drain.set({ model }, seconds)
    for (const served of snapshot?.models ?? []) {
      const version = { model: served.name, version: served.version }
      metrics.modelStatus.set({ ...version, status: served.status }, 1)
      metrics.consumersAlive.set(version, served.consumers.length)
      const engines = served.consumers.reduce((sum, consumer) => sum + consumer.engines, 0)
      const up = served.consumers.reduce((sum, consumer) => sum + consumer.enginesUp, 0)
      metrics.engines.set({ ...version, state: 'up' }, up)
      metrics.engines.set({ ...version, state: 'down' }, Math.max(0, engines - up))
      if (served.rememberedCapacity !== null) metrics.remembered.set(version, served.rememberedCapacity)
      const { manifest } = served
      if (manifest !== null) {
        metrics.modelInfo.set({ ...version, variant: manifest.variant, provider: manifest.provider }, 1)
      }
      for (const { id, stats } of served.consumers) countVersion(metrics, { ...version, consumer: id }, stats)
    }
    // A consumer of several models is listed under each of them.
    const consumers = new Map(
      snapshot?.models.flatMap((model) => model.consumers.map((each) => [each.id, each.process])),
    )
    for (const [consumer, figures] of consumers) {
      metrics.cpu.inc({ consumer, part: 'consumer' }, figures.cpuSeconds)
      metrics.cpu.inc({ consumer, part: 'engines' }, figures.engineCpuSeconds)
      metrics.resident.set({ consumer }, figures.residentBytes)
      metrics.delay.set({ consumer }, figures.eventLoopDelayMs / 1000)
    }
    tellGenerating(snapshot?.models ?? [])
    tellGpus(snapshot?.models.flatMap((model) => model.consumers) ?? [])
  }
}

const perConsumer = ['model', 'version', 'consumer'] as const

type ServedMetrics = ReturnType<typeof registerMetrics>

function registerMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]): Counter<T> =>
    new Counter({ name: `vision_queue_${name}`, help, labelNames, registers })
  const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[]): Gauge<T> =>
    new Gauge({ name: `vision_queue_${name}`, help, labelNames, registers })
  return {
    queueJobs: gauge('queue_jobs', 'Unfinished jobs by model', ['model']),
    queueBytes: gauge('queue_bytes', 'Image bytes of unfinished jobs by model', ['model']),
    waiting: gauge('jobs_waiting', 'Unfinished jobs that no consumer holds', ['model']),
    running: gauge('jobs_running', 'Jobs that consumers hold', ['model']),
    oldest: gauge('oldest_waiting_job_seconds', 'Age of the oldest job that waits; 0: none does', ['model']),
    engines: gauge('engines', 'Engines of the live consumers: up (they can take jobs) or down', [
      'model',
      'version',
      'state',
    ]),
    consumersAlive: gauge('consumers', 'Live consumers by model and version', ['model', 'version']),
    modelStatus: gauge('model_status', '1 for the status a version has now', ['model', 'version', 'status']),
    modelInfo: gauge('model_info', 'What a version runs as: always 1', ['model', 'version', 'variant', 'provider']),
    batches: counter('batches_total', 'Session runs by batch size', [...perConsumer, 'batch_size']),
    finished: counter('jobs_finished_total', 'Finished jobs by final state', [...perConsumer, 'status']),
    inference: counter('inference_seconds_total', 'Time spent in session runs', perConsumer),
    preprocess: counter('preprocess_seconds_total', 'Time spent reading, decoding, resizing, tokenising', perConsumer),
    reused: counter('jobs_reused_total', 'Jobs that took the answer of another which asked the same', perConsumer),
    restarts: counter('engine_restarts_total', 'Engines that died and were started again', perConsumer),
    launches: counter('launches_total', 'Batches by why they were launched when they were', [...perConsumer, 'reason']),
    predicted: counter('launch_predicted_seconds_total', 'What launches were predicted to take', perConsumer),
    actual: counter('launch_actual_seconds_total', 'What the launches with a prediction took', perConsumer),
    cost: gauge(
      'launch_cost_seconds',
      'What a launch is expected to take: fixed + n x per_item; p99_over beyond that',
      [...perConsumer, 'part'],
    ),
    batchSize: gauge('batch_size_wanted', 'The size that batches are gathered to', perConsumer),
    capacity: gauge('capacity_jobs_per_second', 'Jobs a second when there is always work', perConsumer),
    remoteWindow: gauge(
      'remote_window_jobs',
      'Jobs that a server elsewhere may have at once, by priority; it follows what the server says',
      [...perConsumer, 'priority'],
    ),
    remoteJobs: gauge('remote_jobs', 'Jobs that a server elsewhere has, by priority', [...perConsumer, 'priority']),
    remoteRefusals: counter(
      'remote_refusals_total',
      'Times that a server elsewhere had no room for a job',
      perConsumer,
    ),
    remembered: gauge(
      'remembered_capacity_jobs_per_second',
      'What one consumer got through as last announced, also while there is none',
      ['model', 'version'],
    ),
    drain: gauge(
      'drain_seconds',
      'How long the live consumers take for the unfinished jobs of a model; where there are none, how long one would take',
      ['model'],
    ),
    cpu: counter('consumer_cpu_seconds_total', 'CPU time of a consumer and its engines', ['consumer', 'part']),
    resident: gauge('consumer_resident_bytes', 'Resident memory of a consumer and its engines', ['consumer']),
    delay: gauge('consumer_event_loop_delay_seconds', 'Longest pause since the heartbeat before', ['consumer']),
  }
}

/** Where nothing was ever measured: not too little, so that somebody who starts consumers by it starts one. */
const unknownCapacity = 1

/**
 * How long it takes to finish a model's jobs, by its name. Without consumers it is told all the same, by what one of
 * them got through the last time: whoever starts consumers by it starts the first one, too.
 */
function drainSeconds(snapshot: ServedSnapshot | null): [string, number][] {
  return [...(snapshot?.depths ?? [])].map(([model, { jobs }]) => {
    const versions = snapshot?.models.filter(({ name }) => name === model) ?? []
    const live = versions.flatMap(({ consumers, rememberedCapacity }) =>
      consumers.map(({ stats }) => stats.capacity ?? rememberedCapacity ?? unknownCapacity),
    )
    const one = Math.max(...versions.map(({ rememberedCapacity }) => rememberedCapacity ?? 0)) || unknownCapacity
    return [model, jobs / (live.length === 0 ? one : live.reduce((sum, each) => sum + each))]
  })
}

/** Adds what one consumer has announced of one version. */
function countVersion(
  metrics: ServedMetrics,
  labels: Record<(typeof perConsumer)[number], string>,
  stats: ServingConsumer['stats'],
): void {
  for (const [size, count] of Object.entries(stats.batches)) metrics.batches.inc({ ...labels, batch_size: size }, count)
  for (const [status, count] of Object.entries(stats.jobs)) metrics.finished.inc({ ...labels, status }, count)
  metrics.inference.inc(labels, stats.inferenceMs / 1000)
  metrics.preprocess.inc(labels, stats.preprocessMs / 1000)
  metrics.reused.inc(labels, stats.reused ?? 0)
  metrics.restarts.inc(labels, stats.engineRestarts)
  for (const [reason, count] of Object.entries(stats.launches.reasons))
    metrics.launches.inc({ ...labels, reason }, count)
  metrics.predicted.inc(labels, stats.launches.predictedMs / 1000)
  metrics.actual.inc(labels, stats.launches.actualMs / 1000)
  if (stats.capacity !== null) metrics.capacity.set(labels, stats.capacity)
  if (stats.remote !== undefined) {
    const { window, inFlight, refused } = stats.remote
    metrics.remoteRefusals.inc(labels, refused)
    for (const [priority, jobs] of Object.entries(window)) metrics.remoteWindow.set({ ...labels, priority }, jobs)
    for (const [priority, jobs] of Object.entries(inFlight)) metrics.remoteJobs.set({ ...labels, priority }, jobs)
  }
  if (stats.cost === null) return
  metrics.cost.set({ ...labels, part: 'fixed' }, stats.cost.fixedMs / 1000)
  metrics.cost.set({ ...labels, part: 'per_item' }, stats.cost.perItemMs / 1000)
  metrics.cost.set({ ...labels, part: 'p99_over' }, stats.cost.p99OverMs / 1000)
  metrics.batchSize.set(labels, stats.cost.batchSize)
}
