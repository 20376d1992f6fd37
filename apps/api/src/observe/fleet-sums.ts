import type { Durations } from '@vision-queue/queue'
import type { ServedModel } from '@vision-queue/queue/producer'

/** A counter of one consumer, or the sum of one over all consumers. */
export interface FleetCount {
  metric: 'stage' | 'stage_sum' | 'token_time' | 'token_time_sum' | 'tokens' | 'attempts' | 'failures'
  labels: Readonly<Record<string, string>>
  value: number
}

/**
 * Sums of what consumers count, over all of them. Consumers come and go, and a sum of what those that are there announce
 * would fall, which Prometheus takes for a counter that began anew: it would count the rest a second time. So what each
 * has counted since the look before is added up here, and stays when it is gone.
 */
export interface FleetSums {
  /**
   * To be called at each scrape with all that is announced. `tell` false: another API process tells it, and what comes
   * to it meanwhile is not counted here. Resolves to the sums.
   */
  look(models: readonly ServedModel[], tell: boolean): readonly FleetCount[]
}

/** A consumer that was not announced for so long is not expected back; its counts were added already. */
const forgottenMs = 600_000

export function createFleetSums(): FleetSums {
  const sums = new Map<string, FleetCount>()
  const seen = new Map<string, { counts: Map<string, number>; at: number }>()
  return {
    look(models, tell) {
      const now = performance.now()
      for (const [consumer, counts] of countsByConsumer(models)) {
        const known = seen.get(consumer) ?? { counts: new Map<string, number>(), at: now }
        known.at = now
        seen.set(consumer, known)
        for (const count of counts) {
          const key = JSON.stringify([count.metric, count.labels])
          const sum = sums.get(key) ?? { ...count, value: 0 }
          if (tell) sum.value += Math.max(0, count.value - (known.counts.get(key) ?? 0))
          sums.set(key, sum)
          known.counts.set(key, count.value)
        }
      }
      for (const [consumer, { at }] of seen) if (now - at > forgottenMs) seen.delete(consumer)
      return tell ? [...sums.values()] : []
    },
  }
}

/** What each consumer has counted. One of several models is listed under each of them. */
function countsByConsumer(models: readonly ServedModel[]): Map<string, FleetCount[]> {
  const all = new Map<string, FleetCount[]>()
  for (const { name: model, version, consumers } of models) {
    for (const { id, work, jobs = {} } of consumers) {
      const known = all.get(id)
      const counts = known ?? []
      all.set(id, counts)
      if (known === undefined) counts.push(...ofModels(jobs))
      const labels = { model, version }
      counts.push(
        ...ofDurations('stage', labels, work?.durations),
        ...ofDurations('token_time', labels, work?.tokenTimes),
      )
      for (const [kind, value] of Object.entries(work?.tokens ?? {})) {
        if (value > 0) counts.push({ metric: 'tokens', labels: { ...labels, kind }, value })
      }
    }
  }
  return all
}

function ofDurations(
  metric: 'stage' | 'token_time',
  labels: FleetCount['labels'],
  durations: Readonly<Record<string, Durations>> = {},
): FleetCount[] {
  const all: FleetCount[] = []
  for (const [of, { counts, sum }] of Object.entries(durations)) {
    all.push({ metric: `${metric}_sum`, labels: { ...labels, of }, value: sum })
    for (const [bucket, value] of counts.entries()) {
      all.push({ metric, labels: { ...labels, of, bucket: String(bucket) }, value })
    }
  }
  return all
}

function ofModels(jobs: NonNullable<ServedModel['consumers'][number]['jobs']>): FleetCount[] {
  const counts: FleetCount[] = []
  for (const [model, { attempts, failures }] of Object.entries(jobs)) {
    for (const [kind, value] of Object.entries(attempts)) {
      counts.push({ metric: 'attempts', labels: { model, kind }, value })
    }
    for (const [code, value] of Object.entries(failures)) {
      counts.push({ metric: 'failures', labels: { model, code }, value })
    }
  }
  return counts
}
