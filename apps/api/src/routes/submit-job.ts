import { isFinal, type Job, type QueuedJob, toVisionQueueError, unfinishedJob } from '@vision-queue/jobs'
import type { JobClient, ModelDirectory } from '@vision-queue/transport'
import type { Context } from 'hono'
import { nanoid } from 'nanoid'

import type { ApiEnv, ApiHandler } from '../api-env.ts'
import type { ApiSettings } from '../config.ts'
import { jobResponse } from '../job-response.ts'
import type { Metrics } from '../metrics.ts'
import { chooseModel } from '../model-choice.ts'
import { preferredWaitSeconds } from '../prefer.ts'
import { inspectImage } from '../submission/image.ts'
import { readSubmission } from '../submission/read-submission.ts'
import { createModelValidator } from '../validate-for-model.ts'
import { openWaitSignal } from '../wait-signal.ts'

interface Options {
  jobs: JobClient
  models: ModelDirectory
  settings: ApiSettings
  metrics: Metrics
  closing: AbortSignal
}

/** `POST /jobs`: 202 with the accepted job, or with `Prefer: wait` 200 with the final one where that comes in time. */
export function submitJob({ jobs, models, settings, metrics, closing }: Options): ApiHandler {
  const validateForModel = createModelValidator()
  const limits = {
    maxBodyBytes: settings.MAX_BODY_BYTES,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
    maxInputBytes: settings.MAX_INPUT_BYTES,
  }

  const accept = async (c: Context<ApiEnv>): Promise<{ job: QueuedJob; queuePosition: number }> => {
    const submission = await readSubmission(c, limits)
    const { model, manifest, pinnedVersion } = chooseModel(
      await models.list(),
      submission.model,
      settings.DEFAULT_MODEL,
    )
    const { input, parameters } = validateForModel(manifest, submission)
    const createdAt = Date.now()
    const job: QueuedJob = {
      version: 1,
      id: `job_${nanoid(21)}`,
      model: model.name,
      modelVersion: model.version,
      versionPinned: pinnedVersion !== null,
      image: inspectImage(submission.image, limits),
      input,
      parameters,
      metadata: submission.metadata,
      createdAt,
      deadlineAt: submission.deadlineMs === null ? null : createdAt + submission.deadlineMs,
    }
    return { job, ...(await jobs.submit(job, submission.image)) }
  }

  /** What became of an accepted job; one that can't be asked for is still accepted, so this never fails. */
  const waitFor = async (accepted: Job, seconds: number, client: AbortSignal): Promise<Job> => {
    const wait = openWaitSignal(client, closing)
    try {
      return (await jobs.waitFor(accepted.id, seconds * 1000, wait.signal)) ?? accepted
    } catch {
      return accepted
    } finally {
      wait.release()
    }
  }

  return async (c) => {
    const accepting = accept(c)
    const { job: queued, queuePosition } = await accepting.catch((error: unknown) => {
      const { code } = toVisionQueueError(error)
      metrics.refused.inc({ code })
      throw error
    })
    metrics.submitted.inc({ model: queued.model })
    const accepted = unfinishedJob(queued, null, 0)
    const waitSeconds = preferredWaitSeconds(c.req.header('prefer'))
    const job = waitSeconds === null ? accepted : await waitFor(accepted, waitSeconds, c.req.raw.signal)
    const headers = {
      'Cache-Control': 'no-store',
      ...(waitSeconds === null ? {} : { 'Preference-Applied': `wait=${waitSeconds}` }),
    }
    if (isFinal(job.status)) return c.json(jobResponse(job), 200, headers)
    return c.json(jobResponse(job, queuePosition), 202, { ...headers, Location: `/jobs/${job.id}` })
  }
}
