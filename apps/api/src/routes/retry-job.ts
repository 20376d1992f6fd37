import type { QueuedJob } from '@vision-queue/jobs'
import type { Accepted, ImageStore, JobClient, ModelDirectory, Pace } from '@vision-queue/transport'
import type { Context } from 'hono'
import { nanoid } from 'nanoid'

import type { ApiEnv, ApiHandler } from '../api-env.ts'
import type { ApiSettings } from '../config.ts'
import { jobIdFromPath, jobNotFound, jobResponse } from '../job-response.ts'
import { countSubmission, type Metrics } from '../metrics.ts'
import { chooseModel } from '../model-choice.ts'
import { jobsOf } from '../owned-jobs.ts'
import { etaMs, paceOf } from '../pace.ts'
import { createJobImages } from '../submission/job-image.ts'

interface Options {
  jobs: JobClient
  images: ImageStore
  models: ModelDirectory
  settings: ApiSettings
  metrics: Metrics
}

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
  const accept = async (c: Context<ApiEnv>): Promise<Accepted & { pace: Pace | null }> => {
    const { owner, quota } = c.get('caller')
    const old = await jobsOf(jobs, owner).readForRetry(jobIdFromPath(c.req.param('id')))
    if (old === null) throw jobNotFound()
    const reference = old.versionPinned ? `${old.model}@${old.modelVersion}` : old.model
    const { model } = chooseModel(await models.list(), reference, settings.DEFAULT_MODEL)
    const createdAt = Date.now()
    const job: QueuedJob = {
      ...old,
      id: `job_${nanoid(21)}`,
      modelVersion: model.version,
      createdAt,
      deadlineAt: old.deadlineAt === null ? null : createdAt + (old.deadlineAt - old.createdAt),
      replyTo: null,
      retryOf: old.id,
    }
    await jobImages.takeAgain(job)
    const pace = paceOf(model.consumers)
    try {
      return { ...(await jobs.submit(job, null, { pace, quota, reusesPayload: !job.image.uploaded })), pace }
    } catch (error) {
      await jobImages.giveBackRefused(job, error)
      throw error
    }
  }
  return async (c) => {
    const { job, queuePosition, pace } = await countSubmission(metrics, accept(c))
    const turn = queuePosition === null ? undefined : { queuePosition, etaMs: etaMs(queuePosition, pace) }
    return c.json(jobResponse(job, turn), 202, { 'Cache-Control': 'no-store', Location: `/jobs/${job.id}` })
  }
}
