import type { FinalJob } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import {
  contextIn,
  contextOf,
  type Link,
  type Span,
  SpanKind,
  SpanStatusCode,
  openTracing,
  type Tracing,
  type TracingSettings,
} from '@vision-queue/tracing'

import type { TimedRun } from '../jobs/run-job.ts'

/** Makes spans of jobs, in the traces of the requests that handed them in. */
export interface JobTracing {
  /** Sends what is left. */
  close(): Promise<void>
  /** To be told the jobs of each batch when it starts. */
  launched(model: string, ids: readonly string[]): void
  /** To be told of each job that reached its final state here. `run`: null where it had none of its own. */
  ended(job: Pick<QueuedJob, 'createdAt' | 'context'>, final: FinalJob, run: EndedRun | null): void
}

type EndedRun = TimedRun & { deliveryMs: number }

/** A batch that runs. It is a trace of its own, as its jobs belong to several; each links to the other. */
interface Batch {
  span: Span
  startedAt: number
  left: Set<string>
}

/** Of batches whose jobs never end here (handed back, canceled), so many are held. */
const mostBatches = 1000

/** Nothing, where no collector is named. */
export function openJobTracing(settings: TracingSettings): JobTracing {
  const tracing = openTracing(settings, 'vision-queue-consumer')
  return tracing === null ? noJobTracing : createJobTracing(tracing)
}

/** For jobs that are not traced. */
export const noJobTracing: JobTracing = { launched() {}, ended() {}, async close() {} }

function createJobTracing(tracing: Tracing): JobTracing {
  const { tracer } = tracing
  /** By the ids of their jobs. */
  const batches = new Map<string, Batch>()

  const endBatch = (batch: Batch, at: number): void => {
    for (const id of batch.left) batches.delete(id)
    batch.left.clear()
    batch.span.end(at)
  }

  return {
    close: async () => tracing.close(),
    launched(model, ids) {
      const startedAt = Date.now()
      const attributes = { 'vision_queue.model': model, 'vision_queue.batch_size': ids.length }
      const span = tracer.startSpan(`${model} batch`, { attributes, startTime: startedAt, root: true })
      const batch = { span, startedAt, left: new Set(ids) }
      for (const id of ids) batches.set(id, batch)
      const [oldest] = batches.values()
      if (batches.size > mostBatches && oldest !== undefined) endBatch(oldest, Date.now())
    },
    ended(job, final, run) {
      const traced = createStages(tracing, job, final, run, batches.get(final.id)?.span ?? null)
      const batch = batches.get(final.id)
      if (batch === undefined) return
      if (traced !== null) batch.span.addLink({ context: traced.spanContext() })
      batch.left.delete(final.id)
      batches.delete(final.id)
      if (batch.left.size === 0) endBatch(batch, batch.startedAt + (run?.inferenceMs ?? Date.now() - batch.startedAt))
    },
  }
}

/**
 * Makes a job's spans, now that all of its times are known: the wait in the queue, and the job in this consumer with its
 * stages in it. Returns the span that its batch is linked to; null: it has none.
 */
function createStages(
  { tracer }: Tracing,
  { createdAt, context }: Pick<QueuedJob, 'createdAt' | 'context'>,
  final: FinalJob,
  run: EndedRun | null,
  batch: Span | null,
): Span | null {
  const parent = contextOf(context?.traceparent ?? null)
  const now = Date.now()
  const takenAt = final.started_at === null ? now : Date.parse(final.started_at)
  const attributes = {
    'vision_queue.job_id': final.id,
    'vision_queue.model': final.model,
    ...(final.version === null ? {} : { 'vision_queue.version': final.version }),
    'vision_queue.status': final.status,
    'vision_queue.attempts': final.attempts,
    'vision_queue.cached': final.cached,
    ...(final.error === null ? {} : { 'error.type': final.error.code }),
  }
  const kind = SpanKind.CONSUMER
  // Clocks of two machines may disagree by more than the wait.
  const queue = tracer.startSpan(
    `${final.model} queue`,
    { startTime: Math.min(createdAt, takenAt), attributes },
    parent,
  )
  queue.end(takenAt)
  const job = tracer.startSpan(`${final.model} job`, { kind, startTime: takenAt, attributes }, parent)
  if (final.status === 'failed') job.setStatus({ code: SpanStatusCode.ERROR })
  const inside = contextIn(job.spanContext())
  let at = takenAt
  const stage = (name: string, ms: number, links: Link[] = []): Span => {
    const span = tracer.startSpan(name, { startTime: at, links }, inside)
    at += ms
    span.end(at)
    return span
  }
  let inference: Span | null = null
  if (run !== null) {
    stage('fetch', run.fetchMs)
    stage('preprocess', run.preprocessMs)
    stage('batch wait', run.batchWaitMs)
    inference = stage('inference', run.inferenceMs, batch === null ? [] : [{ context: batch.spanContext() }])
    stage('delivery', run.deliveryMs)
  }
  job.end(Math.max(now, at))
  return inference
}
