import { isFinal, type QueuedJob, toVisionQueueError } from '@vision-queue/jobs'
import {
  type Accepted,
  type AdmitOptions,
  answerDigest,
  type ImageStore,
  type JobClient,
  type ModelDirectory,
  type Pace,
} from '@vision-queue/transport'
import type { Context } from 'hono'
import { nanoid } from 'nanoid'

import type { ApiEnv, ApiHandler } from '../api-env.ts'
import type { ApiSettings } from '../config.ts'
import { jobResponse } from '../job-response.ts'
import type { Metrics } from '../metrics.ts'
import { chooseModel } from '../model-choice.ts'
import { etaMs, paceOf } from '../pace.ts'
import { preferredWaitSeconds } from '../prefer.ts'
import type { BodyBudget } from '../submission/body-budget.ts'
import type { FetchImage } from '../submission/fetch-image.ts'
import { createJobImages } from '../submission/job-image.ts'
import { readSubmission } from '../submission/read-submission.ts'
import { createModelValidator } from '../validate-for-model.ts'
import { openWaitSignal } from '../wait-signal.ts'

interface Options {
  jobs: JobClient
  images: ImageStore
  models: ModelDirectory
  fetchImage: FetchImage | null
  bodyBudget: BodyBudget
  settings: ApiSettings
  metrics: Metrics
  closing: AbortSignal
}

/** `POST /jobs`: 202 with the accepted job, or with `Prefer: wait` 200 with the final one where that comes in time. */
export function submitJob({
  jobs,
  images,
  models,
  fetchImage,
  bodyBudget,
  settings,
  metrics,
  closing,
}: Options): ApiHandler {
  const validateForModel = createModelValidator()
  const limits = {
    bodyBudget,
    maxBodyBytes: settings.MAX_BODY_BYTES,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
    maxInputBytes: settings.MAX_INPUT_BYTES,
    fetchesImages: fetchImage !== null,
  }
  const jobImages = createJobImages({ images, fetchImage, ...limits, payloadTtlMs: settings.PAYLOAD_TTL_MS })

  const parse = async (
    c: Context<ApiEnv>,
  ): Promise<{ job: QueuedJob; bytes: Uint8Array | null; admit: Omit<AdmitOptions, 'reusesPayload'> }> => {
    const submission = await readSubmission(c, limits)
    const { model, manifest, pinnedVersion } = chooseModel(
      await models.list(),
      submission.model,
      settings.DEFAULT_MODEL,
    )
    const { input, parameters } = validateForModel(manifest, submission)
    const id = `job_${nanoid(21)}`
    const { owner, quota } = c.get('caller')
    const { image, bytes } = await jobImages.take(submission.image, { id, owner }, c.env)
    const createdAt = Date.now()
    const job: QueuedJob = {
      version: 1,
      id,
      model: model.name,
      modelVersion: model.version,
      versionPinned: pinnedVersion !== null,
      image,
      input,
      parameters,
      metadata: submission.metadata,
      createdAt,
      deadlineAt: submission.deadlineMs === null ? null : createdAt + submission.deadlineMs,
      cache: submission.cache && manifest.cacheable === true,
      replyTo: null,
      owner,
      answersOf: settings.SHARE_ANSWERS === true ? null : owner,
      priority: submission.priority,
      retryOf: null,
    }
    const digest = job.cache ? answerDigest(manifest, job) : null
    return { job, bytes, admit: { digest, pace: paceOf(model.consumers), quota } }
  }

  /** A job that was refused, or that has its answer already, needs its uploaded image no more. */
  const keepingHolds = async (job: QueuedJob, submission: Promise<Accepted>): Promise<Accepted> => {
    try {
      const accepted = await submission
      if (accepted.answeredFrom !== null) await jobImages.giveBack(job)
      return accepted
    } catch (error) {
      await jobImages.giveBackRefused(job, error)
      throw error
    }
  }

  /** The accepted job, as it is or, where the client waits, once it is final or the time is over. */
  const accept = async (c: Context<ApiEnv>, waitSeconds: number | null): Promise<Accepted & { pace: Pace | null }> => {
    const { job, bytes, admit } = await parse(c)
    const { pace } = admit
    if (waitSeconds === null) return { ...(await keepingHolds(job, jobs.submit(job, bytes, admit))), pace }
    const wait = openWaitSignal(c.env, closing)
    try {
      const options = { ...admit, timeoutMs: waitSeconds * 1000, signal: wait.signal }
      return { ...(await keepingHolds(job, jobs.submitAndWait(job, bytes, options))), pace }
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
