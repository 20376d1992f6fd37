import { isFinal } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import type {
  Accepted,
  AdmitOptions,
  IdempotencyClaim,
  ImageStore,
  JobClient,
  ModelDirectory,
  Pace,
  ServedModel,
} from '@vision-queue/queue/producer'
import { answerDigest } from '@vision-queue/queue'
import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { asksOf, parseIdempotencyKey, replayedHeader, submitOnce } from '../../intake/idempotency.ts'
import { jobResponse } from './job-response.ts'
import { countSubmission, type Metrics } from '../../observe/metrics.ts'
import { chooseModel, findModel, groupByName } from '../../intake/model-choice.ts'
import { etaMs, paceOf } from '../../intake/pace.ts'
import { preferredWaitSeconds } from './prefer.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import type { FetchImage } from '../../intake/fetch-image.ts'
import { createJobImages } from '../../intake/job-image.ts'
import type { ReceivedSubmission } from './parsed-submission.ts'
import { readSubmission } from './read-submission.ts'
import { createModelValidator } from '../../intake/validate-for-model.ts'
import { openWaitSignal } from '../../delivery/wait-signal.ts'

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

/** How long a submission waits for its answer; null: not at all. */
type Wait = { timeoutMs: number; signal: AbortSignal } | null

/** Longer than it takes to choose a model, check an input and hold an image. */
const claimMs = 5000

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
    async assertModelIsKnown(reference: string) {
      // While nobody can tell which models there are, the other fault is what there is to say.
      const listed = await models.list().catch((): ServedModel[] => [])
      if (listed.length > 0) findModel(groupByName(listed), reference)
    },
  }
  const jobImages = createJobImages({ images, fetchImage, ...limits, shared: settings.SHARE_ANSWERS })

  const prepare = async (
    c: Context<ApiEnv>,
    submission: ReceivedSubmission,
    id: string,
  ): Promise<{ job: QueuedJob; bytes: Uint8Array | null; admit: Omit<AdmitOptions, 'reusesPayload'> }> => {
    const { model, manifest, pinnedVersion } = chooseModel(
      await models.list(),
      submission.model,
      settings.DEFAULT_MODEL,
    )
    const { input, parameters } = validateForModel(manifest, submission)
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
  const accept = async (
    c: Context<ApiEnv>,
    {
      submission,
      id,
      claim,
      wait,
    }: { submission: ReceivedSubmission; id: string; claim: IdempotencyClaim | null; wait: Wait },
  ): Promise<Accepted & { pace: Pace | null }> => {
    const { job, bytes, admit } = await prepare(c, submission, id)
    const options = { ...admit, claim }
    const submitted =
      wait === null ? jobs.submit(job, bytes, options) : jobs.submitAndWait(job, bytes, { ...options, ...wait })
    return { ...(await keepingHolds(job, submitted)), pace: admit.pace }
  }

  /** The job of this request or, where its Idempotency-Key was used for the same before, of that one. */
  const acceptOnce = async (
    c: Context<ApiEnv>,
    wait: Wait,
  ): Promise<Accepted & { pace: Pace | null; replayed: boolean }> => {
    const { owner } = c.get('caller')
    const key = parseIdempotencyKey(c.req.header('idempotency-key'))
    const submission = await readSubmission(c, limits)
    const leaseMs = fetchImage === null ? claimMs : claimMs + settings.IMAGE_URL_TIMEOUT_MS
    const once = await submitOnce(
      jobs,
      { key, owner, asks: key === null ? null : asksOf(submission), leaseMs },
      async (id, claim) => accept(c, { submission, id, claim, wait }),
    )
    if (once.kind === 'submitted') return { ...once.value, replayed: false }
    const own = jobs.of(owner)
    const waited =
      wait === null || isFinal(once.job.status) ? null : await own.waitFor(once.job.id, wait.timeoutMs, wait.signal)
    return { job: waited ?? once.job, queuePosition: null, answeredFrom: null, pace: null, replayed: true }
  }

  return async (c) => {
    const startedAt = performance.now()
    const waitSeconds = preferredWaitSeconds(c.req.header('prefer'))
    const waiting = waitSeconds === null ? null : openWaitSignal(c.env, closing)
    const wait = waiting === null ? null : { timeoutMs: (waitSeconds ?? 0) * 1000, signal: waiting.signal }
    const { job, queuePosition, pace, replayed } = await countSubmission(metrics, acceptOnce(c, wait)).finally(() =>
      waiting?.release(),
    )
    const headers = {
      'Cache-Control': 'no-store',
      ...(replayed ? replayedHeader : {}),
      'Server-Timing': `total;dur=${(performance.now() - startedAt).toFixed(1)}`,
      ...(waitSeconds === null ? {} : { 'Preference-Applied': `wait=${waitSeconds}` }),
    }
    // Who did not ask to wait is told where the job is, be it final already.
    if (isFinal(job.status) && waitSeconds !== null) {
      return c.json(jobResponse(job, c.get('addressOf')), 200, headers)
    }
    const turn = queuePosition === null ? undefined : { queuePosition, etaMs: etaMs(queuePosition, pace) }
    const response = jobResponse(job, c.get('addressOf'), turn)
    return c.json(response, 202, { ...headers, Location: response.urls.self })
  }
}
