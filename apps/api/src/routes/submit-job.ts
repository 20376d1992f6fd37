import { answerDigest, isFinal, type QueuedJob, toVisionQueueError } from '@vision-queue/jobs'
import type { Accepted, AdmitOptions, JobClient, ModelDirectory, Pace } from '@vision-queue/transport'
import type { Context } from 'hono'
import { nanoid } from 'nanoid'

import type { ApiEnv, ApiHandler } from '../api-env.ts'
import type { ApiSettings } from '../config.ts'
import { jobResponse } from '../job-response.ts'
import type { Metrics } from '../metrics.ts'
import { chooseModel } from '../model-choice.ts'
import { etaMs, paceOf } from '../pace.ts'
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

  const parse = async (c: Context<ApiEnv>): Promise<{ job: QueuedJob; image: Uint8Array; admit: AdmitOptions }> => {
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
      cache: submission.cache && manifest.cacheable === true,
      replyTo: null,
    }
    const digest = job.cache ? answerDigest(manifest, job) : null
    return { job, image: submission.image, admit: { digest, pace: paceOf(model.consumers) } }
  }

  /** The accepted job, as it is or, where the client waits, once it is final or the time is over. */
  const accept = async (c: Context<ApiEnv>, waitSeconds: number | null): Promise<Accepted & { pace: Pace | null }> => {
    const { job, image, admit } = await parse(c)
    const { pace } = admit
    if (waitSeconds === null) return { ...(await jobs.submit(job, image, admit)), pace }
    const wait = openWaitSignal(c.env, closing)
    try {
      const { signal } = wait
      const accepted = await jobs.submitAndWait(job, image, { ...admit, timeoutMs: waitSeconds * 1000, signal })
      return { ...accepted, pace }
    } finally {
      wait.release()
    }
  }

  return async (c) => {
    const startedAt = performance.now()
    const waitSeconds = preferredWaitSeconds(c.req.header('prefer'))
    const { job, queuePosition, answeredFrom, pace } = await accept(c, waitSeconds).catch((error: unknown) => {
      const { code } = toVisionQueueError(error)
      metrics.refused.inc({ code })
      throw error
    })
    metrics.submitted.inc({ model: job.model })
    metrics.answers.inc({ model: job.model, from: answeredFrom ?? 'none' })
    const headers = {
      'Cache-Control': 'no-store',
      'Server-Timing': `total;dur=${(performance.now() - startedAt).toFixed(1)}`,
      ...(waitSeconds === null ? {} : { 'Preference-Applied': `wait=${waitSeconds}` }),
    }
    // Who did not ask to wait is told where the job is, be it final already.
    if (isFinal(job.status) && waitSeconds !== null) return c.json(jobResponse(job), 200, headers)
    const turn = queuePosition === null ? undefined : { queuePosition, etaMs: etaMs(queuePosition, pace) }
    return c.json(jobResponse(job, turn), 202, { ...headers, Location: `/jobs/${job.id}` })
  }
}
