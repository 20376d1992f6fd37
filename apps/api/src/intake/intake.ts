import type { Uploads } from '@vision-queue/blobs'
import type { JobSignal } from '@vision-queue/process'
import { isFinal, type Job } from '@vision-queue/protocol'
import type { IdempotencyClaim, JobClient, ModelDirectory, ServedModel } from '@vision-queue/queue/producer'

import type { ApiSettings } from '../config.ts'
import { countSubmission, type Metrics } from '../observe/metrics.ts'
import type { FetchImage } from './fetch-image.ts'
import { asksOf, submitOnce } from './idempotency.ts'
import { createJobImages } from './job-images.ts'
import { findModel, groupByName } from './model-choice.ts'
import { jobNotFound } from './not-found.ts'
import { etaMs } from './pace.ts'
import { createJobPreparation, type PreparedJob, questionOfJob } from './prepare-job.ts'
import type { Accepted, Caller, Question, Submission } from './submission.ts'

/**
 * The one way into the queue, whatever protocol a submission came by. A door turns a request into a Submission and what
 * came of it into an answer. Everything between the two is here, once: Idempotency-Key, choice of the version, checks,
 * images, quota, admission, waiting and counting.
 */
export interface Intake {
  /**
   * When it resolves, the job is in Redis and will reach a final state. Rejects with what the submission is refused
   * for; a submission that rejects, because the door could not read it, counts as refused, too.
   */
  submit(submission: Submission | Promise<Submission>, caller: Caller): Promise<Accepted>
  /** Rejects with `model_not_found`. For submissions that are refused: a model that isn't there goes before other faults. */
  assertModelIsKnown(reference: string): Promise<void>
}

export interface IntakeOptions {
  jobs: JobClient
  uploads: Uploads
  models: ModelDirectory
  /** Null: images aren't taken by their address. */
  fetchImage: FetchImage | null
  settings: ApiSettings
  metrics: Metrics
  /** Fires when the server closes: who waits for a job is then answered with the job as it is. */
  closing: JobSignal
}

/** Longer than it takes to choose a model, check an input and hold an image. */
const claimMs = 5000

export function createIntake(options: IntakeOptions): Intake {
  const { jobs, models, settings, metrics } = options
  const send = createSending(options)

  const questionIn = async (submission: Submission, { owner }: Caller): Promise<Question> => {
    if (submission.kind === 'question') return submission.question
    const old = await jobs.of(owner).readForRetry(submission.jobId)
    if (old === null) throw jobNotFound()
    return questionOfJob(old)
  }

  /** The job of this submission or, if its Idempotency-Key was used for the same before, of that one. */
  const submitOnly = async (submission: Submission, caller: Caller): Promise<Accepted> => {
    const { idempotencyKey: key } = submission
    const once = await submitOnce(
      jobs,
      {
        key,
        owner: caller.owner,
        asks: key === null ? null : asksOf(submission),
        leaseMs: claimMs + addressesIn(submission) * settings.IMAGE_URL_TIMEOUT_MS,
      },
      async (id, claim) => send(await questionIn(submission, caller), { id, claim, waitMs: submission.waitMs }, caller),
    )
    if (once.kind === 'submitted') return once.value
    const job = await waitedFor(once.job, submission.waitMs, caller)
    return { job, turn: null, answeredFrom: null, replayed: true }
  }

  const waitedFor = async (job: Job, waitMs: number | null, caller: Caller): Promise<Job> => {
    if (waitMs === null || isFinal(job.status)) return job
    const wait = caller.watch(options.closing)
    try {
      return (await jobs.of(caller.owner).waitFor(job.id, waitMs, wait.signal)) ?? job
    } finally {
      wait.release()
    }
  }

  return {
    submit: (submission, caller) => countSubmission(metrics, (async () => submitOnly(await submission, caller))()),
    async assertModelIsKnown(reference) {
      // While nobody can tell which models there are, the other fault is what there is to say.
      const listed = await models.list().catch((): ServedModel[] => [])
      if (listed.length > 0) findModel(groupByName(listed), reference)
    },
  }
}

/** How a question's job is handed to the queue. */
interface Handing {
  id: string
  claim: IdempotencyClaim | null
  waitMs: number | null
}

/** Makes a question's job and hands it to the queue. */
function createSending({ jobs, uploads, models, fetchImage, settings, closing }: IntakeOptions) {
  const takeImages = createJobImages({
    uploads,
    fetchImage,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
  })
  const prepare = createJobPreparation({ models, takeImages, settings })

  const hand = async ({ job, blobs, admit }: PreparedJob, { claim, waitMs }: Handing, caller: Caller) => {
    if (waitMs === null) return jobs.submit(job, blobs, { ...admit, claim })
    const wait = caller.watch(closing)
    try {
      return await jobs.submitAndWait(job, blobs, { ...admit, claim, timeoutMs: waitMs, signal: wait.signal })
    } finally {
      wait.release()
    }
  }

  return async (question: Question, handing: Handing, caller: Caller): Promise<Accepted> => {
    const prepared = await prepare(question, handing.id, caller)
    const { job, queuePosition, answeredFrom } = await hand(prepared, handing, caller)
    const turn = queuePosition === null ? null : { queuePosition, etaMs: etaMs(queuePosition, prepared.admit.pace) }
    return { job, turn, answeredFrom, replayed: false }
  }
}

function addressesIn(submission: Submission): number {
  if (submission.kind === 'retry') return 0
  return submission.question.images.filter(({ kind }) => kind === 'address').length
}
