import type { FinalJob } from '@vision-queue/protocol'
import {
  addDuration,
  type AnnouncedModel,
  type JobStage,
  type ModelWork,
  noDurations,
  type QueuedJob,
  type TokenTime,
  type VersionWork,
} from '@vision-queue/queue'
import type { Delivery } from '@vision-queue/queue/worker'
import { z } from 'zod'

import type { TimedRun } from '../jobs/run-job.ts'

/** Measures the jobs that this process takes. The figures outlive pools and reloads; they begin anew with the process. */
export interface JobWork {
  /** To be told of each job that was taken. */
  taken(model: string, delivery: Pick<Delivery, 'attempts' | 'stalls'>): void
  /** To be told of each job that reached its final state here. `run`: null where it had none of its own. */
  ended(
    job: Pick<QueuedJob, 'model' | 'createdAt'>,
    final: FinalJob,
    run: (TimedRun & { deliveryMs: number }) | null,
  ): void
  /** What is announced, with the figures. */
  announced<T extends { models: readonly AnnouncedModel[] }>(
    described: T,
  ): T & { models: AnnouncedModel[]; jobs: Record<string, ModelWork> }
}

/** Where answers tell how many tokens were generated, and conversations how many were read. */
const usageSchema = z.object({
  tokens: z.int().optional(),
  usage: z.object({ prompt_tokens: z.int() }).optional(),
})

/**
 * Counters that are there before anything is counted: a counter that appears with its first event doesn't rise, as far as
 * Prometheus can see, and no alert would hear of it.
 */
function newModelWork(): ModelWork {
  return {
    attempts: { first: 0, retry: 0, takeover: 0 },
    failures: {
      engine_crashed: 0,
      inference_failed: 0,
      payload_expired: 0,
      model_unavailable: 0,
      deadline_exceeded: 0,
    },
  }
}

export function createJobWork(): JobWork {
  const versions = new Map<string, VersionWork>()
  const models = new Map<string, ModelWork>()

  const versionWork = (model: string, version: string): VersionWork => {
    const key = `${model}@${version}`
    const known = versions.get(key) ?? { durations: {}, tokens: { prompt: 0, completion: 0 } }
    versions.set(key, known)
    return known
  }
  const modelWork = (model: string): ModelWork => {
    const known = models.get(model) ?? newModelWork()
    models.set(model, known)
    return known
  }

  return {
    taken(model, { attempts: attempt, stalls }) {
      const { attempts } = modelWork(model)
      const kind = stalls > 0 ? 'takeover' : attempt > 1 ? 'retry' : 'first'
      attempts[kind] = (attempts[kind] ?? 0) + 1
    },
    ended({ model, createdAt }, final, run) {
      if (final.error !== null) {
        const { failures } = modelWork(model)
        failures[final.error.code] = (failures[final.error.code] ?? 0) + 1
      }
      if (final.version === null) return
      const work = versionWork(model, final.version)
      for (const [stage, ms] of stagesOf(final, createdAt, run)) {
        const durations = (work.durations[stage] ??= noDurations())
        addDuration(durations, ms / 1000)
      }
      if (run === null) return
      const { tokens } = countTokens(work, final)
      for (const [time, ms] of tokenTimesOf(final, createdAt, { run, tokens })) {
        work.tokenTimes ??= {}
        addDuration((work.tokenTimes[time] ??= noDurations()), ms / 1000)
      }
    },
    announced: (described) => ({
      ...described,
      models: described.models.map((model) => {
        modelWork(model.name)
        const work = versions.get(`${model.name}@${model.version}`)
        return work === undefined ? model : { ...model, work }
      }),
      jobs: Object.fromEntries(models),
    }),
  }
}

/** Clocks of two machines may disagree by more than a wait: never less than 0. */
function stagesOf(
  { started_at: startedAt, completed_at: completedAt }: FinalJob,
  createdAt: number,
  run: (TimedRun & { deliveryMs: number }) | null,
): [JobStage, number][] {
  const since = (time: string | null): number => Math.max(0, Date.parse(time ?? '') - createdAt || 0)
  return [
    ...(startedAt === null ? [] : [['queue', since(startedAt)] satisfies [JobStage, number]]),
    ...(run === null
      ? []
      : ([
          ['fetch', run.fetchMs],
          ['preprocess', run.preprocessMs],
          ['batch_wait', run.batchWaitMs],
          ['inference', run.inferenceMs],
          ['delivery', run.deliveryMs],
        ] satisfies [JobStage, number][])),
    ['total', since(completedAt)],
  ]
}

/** Of an answer that was generated: when its tokens came. */
function tokenTimesOf(
  { completed_at: completedAt }: FinalJob,
  createdAt: number,
  { run: { times }, tokens }: { run: TimedRun; tokens: number },
): [TokenTime, number][] {
  if (times === undefined) return []
  const { prefillMs, decodeMs } = times
  // From the answer back to its first token, as nobody tells the consumer when that was.
  const firstTokenMs = Math.max(0, Date.parse(completedAt ?? '') - createdAt - decodeMs || 0)
  return [
    ['first_token', firstTokenMs],
    ['prefill', prefillMs],
    ['decode', decodeMs],
    ...(tokens > 1 ? [['per_token', decodeMs / (tokens - 1)] satisfies [TokenTime, number]] : []),
  ]
}

/** Counts the tokens of an answer, and tells how many were generated. */
function countTokens({ tokens: counted }: VersionWork, { output }: FinalJob): { tokens: number } {
  const { usage, tokens = 0 } = usageSchema.safeParse(output).data ?? {}
  counted.prompt += usage?.prompt_tokens ?? 0
  counted.completion += tokens
  return { tokens }
}
