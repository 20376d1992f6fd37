import { durationBounds, type JobStage, jobStages, type TokenTime, tokenTimes } from '@vision-queue/queue'
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
  const times = createTokenTimes(registry)
  const counters: Readonly<Record<'tokens' | 'attempts' | 'failures', Counter>> = { tokens, attempts, failures }
  return (counts) => {
    for (const counter of Object.values(counters)) counter.reset()
    for (const { metric, labels, value } of counts) {
      if (metric === 'tokens' || metric === 'attempts' || metric === 'failures') counters[metric].inc(labels, value)
    }
    const series = durationSeries(counts, 'stage')
    stages.tell(
      series.flatMap(({ of, model, version, ...told }) =>
        of === totalStage ? [] : [{ labels: { model, version, stage: of }, ...told }],
      ),
    )
    total.tell(ofKind(series, totalStage))
    const ofTokens = durationSeries(counts, 'token_time')
    for (const time of tokenTimes) times[time].tell(ofKind(ofTokens, time))
  }
}

const totalStage: JobStage = 'total'

/** When tokens of answers came; each has series only where a model generates. */
function createTokenTimes(registry: Registry): Record<TokenTime, ToldHistogram<'model' | 'version'>> {
  const histogram = (name: string, help: string): ToldHistogram<'model' | 'version'> =>
    new ToldHistogram({
      name: `vision_queue_${name}_seconds`,
      help,
      labelNames: ['model', 'version'],
      buckets: [...durationBounds],
      registers: [registry],
    })
  return {
    first_token: histogram('time_to_first_token', 'From the submission of a job to the first token of its answer'),
    per_token: histogram('time_per_output_token', 'What each token of an answer after the first took, on average'),
    prefill: histogram(
      'job_prefill',
      'From the place of a job among the running ones in its engine to its first token',
    ),
    decode: histogram('job_decode', 'From the first token of an answer to the last'),
  }
}

/** Durations of one stage, or one time of tokens. */
interface DurationSeries {
  model: string
  version: string
  of: string
  counts: number[]
  sum: number
}

function ofKind(series: readonly DurationSeries[], kind: string): ToldSeries<'model' | 'version'>[] {
  return series.flatMap(({ of, model, version, ...told }) =>
    of === kind ? [{ labels: { model, version }, ...told }] : [],
  )
}

function durationSeries(counts: readonly FleetCount[], kind: 'stage' | 'token_time'): DurationSeries[] {
  const series = new Map<string, DurationSeries>()
  for (const { metric, labels, value } of counts) {
    if (metric !== kind && metric !== `${kind}_sum`) continue
    const { model = '', version = '', of = '', bucket } = labels
    const key = JSON.stringify([model, version, of])
    const one = series.get(key) ?? {
      model,
      version,
      of,
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
