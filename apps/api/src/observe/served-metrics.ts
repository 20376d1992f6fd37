import type { ServedModel } from '@vision-queue/queue/producer'
import { Counter, Gauge, type Registry } from 'prom-client'

/** One look at Redis: what consumers announced, and what is queued per model name. */
export interface ServedSnapshot {
  models: readonly ServedModel[]
  depths: ReadonlyMap<string, { jobs: number; bytes: number }>
}

/**
 * The metrics that are not this process' own: replaced as a whole at each scrape, so that consumers
 * that are gone leave the page too. Counters start over with their consumer, as Prometheus expects.
 */
export function createServedMetrics(registry: Registry): (snapshot: ServedSnapshot | null) => void {
  const registers = [registry]
  const perConsumer = ['model', 'version', 'consumer'] as const
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]): Counter<T> =>
    new Counter({ name: `vision_queue_${name}`, help, labelNames, registers })
  const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[]): Gauge<T> =>
    new Gauge({ name: `vision_queue_${name}`, help, labelNames, registers })

  const queueJobs = gauge('queue_jobs', 'Unfinished jobs by model', ['model'])
  const queueBytes = gauge('queue_bytes', 'Image bytes of unfinished jobs by model', ['model'])
  const consumersAlive = gauge('consumers', 'Live consumers by model and version', ['model', 'version'])
  const modelStatus = gauge('model_status', '1 for the status a version has now', ['model', 'version', 'status'])
  const modelInfo = gauge('model_info', 'What a version runs as: always 1', ['model', 'version', 'variant', 'provider'])
  const batches = counter('batches_total', 'Session runs by batch size', [...perConsumer, 'batch_size'])
  const finished = counter('jobs_finished_total', 'Finished jobs by final state', [...perConsumer, 'status'])
  const inference = counter('inference_ms_total', 'Milliseconds spent in session runs', perConsumer)
  const preprocess = counter('preprocess_ms_total', 'Milliseconds spent decoding, resizing, tokenising', perConsumer)
  const reused = counter('jobs_reused_total', 'Jobs that took the answer of another which asked the same', perConsumer)
  const restarts = counter('engine_restarts_total', 'Engines that died and were started again', perConsumer)
  const launches = counter('launches_total', 'Batches by why they were launched when they were', [
    ...perConsumer,
    'reason',
  ])
  const predicted = counter('launch_predicted_ms_total', 'What launches were predicted to take', perConsumer)
  const actual = counter('launch_actual_ms_total', 'What the launches with a prediction took', perConsumer)
  const cost = gauge(
    'launch_cost_ms',
    'What a launch is expected to take: fixed + n x per_item; p99_over beyond that',
    [...perConsumer, 'part'],
  )
  const batchSize = gauge('batch_size_wanted', 'The size that batches are gathered to', perConsumer)
  const capacity = gauge('capacity_jobs_per_second', 'Jobs a second when there is always work', perConsumer)
  const cpu = counter('consumer_cpu_seconds_total', 'CPU time of a consumer and its engines', ['consumer', 'part'])
  const resident = gauge('consumer_resident_bytes', 'Resident memory of a consumer and its engines', ['consumer'])
  const delay = gauge('consumer_event_loop_delay_seconds', 'Longest pause since the heartbeat before', ['consumer'])
  const perModel = [
    queueJobs,
    queueBytes,
    consumersAlive,
    modelStatus,
    modelInfo,
    batches,
    finished,
    inference,
    preprocess,
    reused,
    restarts,
    launches,
    predicted,
    actual,
    cost,
    batchSize,
    capacity,
  ]
  const all = [...perModel, cpu, resident, delay]

  return (snapshot) => {
    for (const metric of all) metric.reset()
    for (const [model, { jobs, bytes }] of snapshot?.depths ?? []) {
      queueJobs.set({ model }, jobs)
      queueBytes.set({ model }, bytes)
    }
    for (const served of snapshot?.models ?? []) {
      const version = { model: served.name, version: served.version }
      modelStatus.set({ ...version, status: served.status }, 1)
      consumersAlive.set(version, served.consumers.length)
      const { manifest } = served
      if (manifest !== null) modelInfo.set({ ...version, variant: manifest.variant, provider: manifest.provider }, 1)
      for (const { id, stats } of served.consumers) {
        const labels = { ...version, consumer: id }
        for (const [size, count] of Object.entries(stats.batches)) batches.inc({ ...labels, batch_size: size }, count)
        for (const [status, count] of Object.entries(stats.jobs)) finished.inc({ ...labels, status }, count)
        inference.inc(labels, stats.inferenceMs)
        preprocess.inc(labels, stats.preprocessMs)
        reused.inc(labels, stats.reused ?? 0)
        restarts.inc(labels, stats.engineRestarts)
        for (const [reason, count] of Object.entries(stats.launches.reasons)) launches.inc({ ...labels, reason }, count)
        predicted.inc(labels, stats.launches.predictedMs)
        actual.inc(labels, stats.launches.actualMs)
        if (stats.capacity !== null) capacity.set(labels, stats.capacity)
        if (stats.cost === null) continue
        cost.set({ ...labels, part: 'fixed' }, stats.cost.fixedMs)
        cost.set({ ...labels, part: 'per_item' }, stats.cost.perItemMs)
        cost.set({ ...labels, part: 'p99_over' }, stats.cost.p99OverMs)
        batchSize.set(labels, stats.cost.batchSize)
      }
    }
    // A consumer of several models is listed under each of them.
    const consumers = new Map(
      snapshot?.models.flatMap((model) => model.consumers.map((each) => [each.id, each.process])),
    )
    for (const [consumer, process] of consumers) {
      cpu.inc({ consumer, part: 'consumer' }, process.cpuSeconds)
      cpu.inc({ consumer, part: 'engines' }, process.engineCpuSeconds)
      resident.set({ consumer }, process.residentBytes)
      delay.set({ consumer }, process.eventLoopDelayMs / 1000)
    }
  }
}
