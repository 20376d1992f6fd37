import { durationBounds, type JobStage, jobStages } from '@vision-queue/queue'
import type { RedisFigures } from '@vision-queue/redis'
import { Counter, Gauge, type Registry } from 'prom-client'

import type { FleetCount } from './fleet-sums.ts'
import { ToldHistogram, type ToldSeries } from './told-histogram.ts'

type StageLabels = 'model' | 'version' | 'stage'

/** Metrics of sums over all consumers; each call replaces what the one before has told. */
export function createFleetMetrics(registry: Registry): (counts: readonly FleetCount[]) => void {
  const registers = [registry]
  const stages = new ToldHistogram<StageLabels>({
    name: 'vision_queue_job_stage_seconds',
    help: `Time of jobs by stage: ${jobStages.filter((stage) => stage !== 'total').join(', ')}`,
    labelNames: ['model', 'version', 'stage'],
    buckets: [...durationBounds],
    registers,
  })
  const total = new ToldHistogram<'model' | 'version'>({
    name: 'vision_queue_job_duration_seconds',
    help: 'Time of jobs from their submission to their final state in Redis, failed ones too',
    labelNames: ['model', 'version'],
    buckets: [...durationBounds],
    registers,
  })
  const tokens = new Counter({
    name: 'vision_queue_tokens_total',
    help: 'Tokens of models that count them: prompt (text and images) and completion',
    labelNames: ['model', 'version', 'kind'],
    registers,
  })
  const attempts = new Counter({
    name: 'vision_queue_job_attempts_total',
    help: 'Jobs taken by consumers: first; retry, after a failure or a hand-back; takeover, after a consumer died with it',
    labelNames: ['model', 'kind'],
    registers,
  })
  const failures = new Counter({
    name: 'vision_queue_jobs_failed_total',
    help: 'Accepted jobs that ended without an answer, by error code',
    labelNames: ['model', 'code'],
    registers,
  })
  const counters: Readonly<Record<'tokens' | 'attempts' | 'failures', Counter>> = { tokens, attempts, failures }
  return (counts) => {
    for (const counter of Object.values(counters)) counter.reset()
    for (const { metric, labels, value } of counts) {
      if (metric !== 'stage' && metric !== 'stage_sum') counters[metric].inc(labels, value)
    }
    const series = stageSeries(counts)
    stages.tell(series.filter(({ labels }) => labels.stage !== totalStage))
    total.tell(
      series.flatMap(({ labels: { model, version, stage }, counts: buckets, sum }) =>
        stage === totalStage ? [{ labels: { model, version }, counts: buckets, sum }] : [],
      ),
    )
  }
}

const totalStage: JobStage = 'total'

function stageSeries(counts: readonly FleetCount[]): ToldSeries<StageLabels>[] {
  const series = new Map<string, { labels: Record<StageLabels, string>; counts: number[]; sum: number }>()
  for (const { metric, labels, value } of counts) {
    if (metric !== 'stage' && metric !== 'stage_sum') continue
    const { model = '', version = '', stage = '', bucket } = labels
    const key = JSON.stringify([model, version, stage])
    const one = series.get(key) ?? {
      labels: { model, version, stage },
      counts: Array.from({ length: durationBounds.length + 1 }, () => 0),
      sum: 0,
    }
    series.set(key, one)
    if (bucket === undefined) one.sum = value
    else one.counts[Number(bucket)] = value
  }
  return [...series.values()]
}

/** Gauges of what Redis tells of itself, by node; `node` is empty where there is one Redis. */
export function createRedisMetrics(registry: Registry): (figures: readonly RedisFigures[]) => void {
  const gauge = (name: string, help: string): Gauge<'node'> =>
    new Gauge({ name: `vision_queue_redis_${name}`, help, labelNames: ['node'], registers: [registry] })
  const gauges: readonly { gauge: Gauge<'node'>; of: (figures: RedisFigures) => number }[] = [
    { gauge: gauge('memory_used_bytes', 'Memory that Redis uses'), of: ({ usedBytes }) => usedBytes },
    {
      gauge: gauge('memory_max_bytes', 'Beyond this Redis refuses writes (maxmemory); 0: unlimited'),
      of: ({ maxBytes }) => maxBytes,
    },
    { gauge: gauge('clients', 'Connections to Redis'), of: ({ clients }) => clients },
    {
      gauge: gauge('append_only_ok', 'Whether the last write to the append-only file went well'),
      of: ({ appendOnlyOk }) => (appendOnlyOk ? 1 : 0),
    },
    {
      gauge: gauge('snapshot_ok', 'Whether the last snapshot went well'),
      of: ({ snapshotOk }) => (snapshotOk ? 1 : 0),
    },
    {
      gauge: gauge('answer_seconds', 'How long Redis took to answer PING at this scrape'),
      of: ({ answerMs }) => answerMs / 1000,
    },
  ]
  return (figures) => {
    for (const { gauge: one, of } of gauges) {
      one.reset()
      for (const each of figures) one.set({ node: each.node }, of(each))
    }
  }
}
