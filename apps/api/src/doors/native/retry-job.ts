import type { QueuedJob } from '@vision-queue/queue'
import type {
  Accepted,
  IdempotencyClaim,
  ImageStore,
  JobClient,
  ModelDirectory,
  Pace,
} from '@vision-queue/queue/producer'
import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import type { Caller } from '../../guard/caller.ts'
import type { ApiSettings } from '../../config.ts'
import { parseIdempotencyKey, replayedHeader, submitOnce } from '../../intake/idempotency.ts'
import { jobIdFromPath, jobNotFound, jobResponse } from './job-response.ts'
import { countSubmission, type Metrics } from '../../observe/metrics.ts'
import { chooseModel } from '../../intake/model-choice.ts'
import { etaMs, paceOf } from '../../intake/pace.ts'
import { createJobImages } from '../../intake/job-image.ts'

interface Options {
  jobs: JobClient
  images: ImageStore
  models: ModelDirectory
  settings: ApiSettings
  metrics: Metrics
}

/** Longer than it takes to read a job, choose a model and hold an image. */
const claimMs = 5000

/**
 * `POST /jobs/{id}/retry`: 202 with a new job that asks what the old one asked, and names it in `retry_of`. Its
 * deadline, where there is one, is as far away as the old one's was.
 */
export function retryJob({ jobs, images, models, settings, metrics }: Options): ApiHandler {
  const jobImages = createJobImages({
    images,
    // A retry brings no image of its own.
    fetchImage: null,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
  })
  const accept = async (
    { owner, quota }: Caller,
    oldId: string,
    { id, claim }: { id: string; claim: IdempotencyClaim | null },
  ): Promise<Accepted & { pace: Pace | null }> => {
    const old = await jobs.of(owner).readForRetry(oldId)
    if (old === null) throw jobNotFound()
    const reference = old.versionPinned ? `${old.model}@${old.modelVersion}` : old.model
    const { model } = chooseModel(await models.list(), reference, settings.DEFAULT_MODEL)
    const createdAt = Date.now()
    const job: QueuedJob = {
      ...old,
      id,
      modelVersion: model.version,
      createdAt,
      deadlineAt: old.deadlineAt === null ? null : createdAt + (old.deadlineAt - old.createdAt),
      replyTo: null,
      retryOf: old.id,
    }
    await jobImages.takeAgain(job)
    const pace = paceOf(model.consumers)
    try {
      return { ...(await jobs.submit(job, null, { pace, quota, reusesPayload: !job.image.uploaded, claim })), pace }
    } catch (error) {
      await jobImages.giveBackRefused(job, error)
      throw error
    }
  }
  /** The new job or, if its Idempotency-Key was used for the same before, that one. */
  const acceptOnce = async (c: Context<ApiEnv>): Promise<Accepted & { pace: Pace | null; replayed: boolean }> => {
    const caller = c.get('caller')
    const oldId = jobIdFromPath(c.req.param('id'))
    const key = parseIdempotencyKey(c.req.header('idempotency-key'))
    const asks = { kind: 'retry', of: oldId }
    const once = await submitOnce(jobs, { key, owner: caller.owner, asks, leaseMs: claimMs }, async (id, claim) =>
      accept(caller, oldId, { id, claim }),
    )
    return once.kind === 'submitted'
      ? { ...once.value, replayed: false }
      : { job: once.job, queuePosition: null, answeredFrom: null, pace: null, replayed: true }
  }
  return async (c) => {
    const { job, queuePosition, pace, replayed } = await countSubmission(metrics, acceptOnce(c))
    const turn = queuePosition === null ? undefined : { queuePosition, etaMs: etaMs(queuePosition, pace) }
    const response = jobResponse(job, c.get('addressOf'), turn)
    return c.json(response, 202, {
      'Cache-Control': 'no-store',
      Location: response.urls.self,
      ...(replayed ? replayedHeader : {}),
    })
  }
}
