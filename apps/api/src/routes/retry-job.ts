import type { Job, QueuedJob } from '@vision-queue/jobs'
import type { IdempotencyClaim, ImageStore, JobClient, ModelDirectory } from '@vision-queue/transport'

import type { ApiHandler } from '../api-env.ts'
import type { Caller } from '../caller.ts'
import type { ApiSettings } from '../config.ts'
import { imageNotFound } from '../image-response.ts'
import { parseIdempotencyKey, replayedHeader, submitOnce } from '../idempotency.ts'
import { jobIdFromPath, jobNotFound, jobResponse, type Turn } from '../job-response.ts'
import { chooseModel } from '../model-choice.ts'
import { jobsOf } from '../owned-jobs.ts'
import { etaMs, paceOf } from '../pace.ts'
import { createJobImages } from '../submission/job-image.ts'

interface Options {
  jobs: JobClient
  images: ImageStore
  models: ModelDirectory
  settings: ApiSettings
}

/** Longer than it takes to read a job, choose a model and hold an image. */
const claimMs = 5000

/**
 * `POST /jobs/{id}/retry`: 202 with a new job that asks what the old one asked, and names it in `retry_of`. Its
 * deadline, where there is one, is as far away as the old one's was.
 */
export function retryJob({ jobs, images, models, settings }: Options): ApiHandler {
  const jobImages = createJobImages({
    images,
    // A retry brings no image of its own.
    fetchImage: null,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
    payloadTtlMs: settings.PAYLOAD_TTL_MS,
  })
  const accept = async (
    { owner, quota }: Caller,
    oldId: string,
    { id, claim }: { id: string; claim: IdempotencyClaim | null },
  ): Promise<{ job: Job; turn: Turn | undefined }> => {
    const old = await jobsOf(jobs, owner).readForRetry(oldId)
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
    // Under the name that the old job knows it by, which is its owner's already.
    if (job.image.uploaded && (await images.hold(job.image.hash, job.id, settings.PAYLOAD_TTL_MS)) === null) {
      throw imageNotFound()
    }
    const pace = paceOf(model.consumers)
    const { job: accepted, queuePosition } = await jobs
      .submit(job, null, { pace, quota, reusesPayload: !job.image.uploaded, claim })
      .catch(async (error: unknown) => {
        await jobImages.giveBackRefused(job, error)
        throw error
      })
    const turn = queuePosition === null ? undefined : { queuePosition, etaMs: etaMs(queuePosition, pace) }
    return { job: accepted, turn }
  }
  return async (c) => {
    const caller = c.get('caller')
    const oldId = jobIdFromPath(c.req.param('id'))
    const key = parseIdempotencyKey(c.req.header('idempotency-key'))
    const asks = { kind: 'retry', of: oldId }
    const once = await submitOnce(jobs, { key, owner: caller.owner, asks, leaseMs: claimMs }, async (id, claim) =>
      accept(caller, oldId, { id, claim }),
    )
    const { job, turn } = once.kind === 'submitted' ? once.value : { job: once.job, turn: undefined }
    const response = jobResponse(job, c.get('addressOf'), turn)
    return c.json(response, 202, {
      'Cache-Control': 'no-store',
      Location: response.urls.self,
      ...(once.kind === 'replayed' ? replayedHeader : {}),
    })
  }
}
