import type { JobSignal } from '@vision-queue/process'
import { type FinalJob, isFinal, type Job, type JobEvent, VisionQueueError } from '@vision-queue/protocol'
import type { JobClient, ModelDirectory } from '@vision-queue/queue/producer'
import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { openWaitSignal } from '../../delivery/wait-signal.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { parseIdempotencyKey } from '../../intake/idempotency.ts'
import type { Intake } from '../../intake/intake.ts'
import type { Accepted, Caller } from '../../intake/submission.ts'
import { replayedHeader } from '../native/accepted-response.ts'
import { callerOf } from '../native/caller-of.ts'
import { type Answer, readAnswer } from './answer.ts'
import { createChatJobs } from './chat-jobs.ts'
import { openChunkStream } from './chunk-stream.ts'
import { completionOf } from './completion.ts'
import { withRequestFields, withRequestNames } from './foreign-fields.ts'
import { failureOf } from './job-failure.ts'
import { type ReadChat, readChat } from './read-request.ts'

interface Options {
  intake: Intake
  jobs: JobClient
  models: ModelDirectory
  bodyBudget: BodyBudget
  settings: ApiSettings
}

/** `POST /v1/chat/completions`: each choice is a job; answers with what came of them, whole or as it comes. */
export function chatCompletions({ intake, jobs, models, bodyBudget, settings }: Options): ApiHandler {
  const reading = {
    intake,
    models,
    defaultModel: settings.DEFAULT_MODEL,
    bodyBudget,
    maxBodyBytes: settings.MAX_BODY_BYTES,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxInputBytes: settings.MAX_INPUT_BYTES,
    fetchesImages: settings.IMAGE_URLS !== 'off',
  }
  return async (c) => {
    const caller = chatCallerOf(c)
    const idempotencyKey = parseIdempotencyKey(c.req.header('idempotency-key'))
    const chat = await readCounted(readChat(c, reading), intake, caller)
    const { stream } = chat.request
    const waitMs = stream ? null : settings.CHAT_WAIT_MS
    // What nobody waits for any more need not begin; and who would wait in vain is told so at once.
    const deadlineMs = idempotencyKey === null ? waitMs : null
    const questions = chat.questions.map((question) => ({ ...question, deadlineMs: question.deadlineMs ?? deadlineMs }))
    const chatJobs = createChatJobs({ intake, jobs, caller })
    const accepted = await chatJobs.submit(questions, { idempotencyKey, waitMs }).catch((error: unknown) => {
      throw withRequestFields(error, chat.request)
    })
    nameJobs(c, accepted)
    const abandon = async (): Promise<void> => chatJobs.abandon(accepted, { idempotencyKey })
    if (stream) {
      const events = (id: string, signal: JobSignal): AsyncIterable<JobEvent> =>
        jobs.of(caller.owner).events(id, { signal })
      const includeUsage = chat.request.stream_options?.include_usage === true
      const { SSE_HEARTBEAT_MS: heartbeatMs } = settings
      const client = openWaitSignal(c.env)
      const read = readerOf(chat)
      const body = openChunkStream({ accepted, events, readAnswer: read, includeUsage, heartbeatMs, client, abandon })
      return c.body(body, 200, streamHeaders)
    }
    try {
      return c.json(completionOf(choicesOf(accepted, chat, { idempotencyKey, waitMs: settings.CHAT_WAIT_MS })))
    } catch (error) {
      await abandon()
      throw error
    }
  }
}

const streamHeaders = {
  'Content-Type': 'text/event-stream',
  // nginx would hold chunks back until its buffer is full.
  'X-Accel-Buffering': 'no',
}

/**
 * Who waits for an answer is not sent away when the server closes: no client of this door can come back for it. Requests
 * that run then have SHUTDOWN_TIMEOUT_MS.
 */
function chatCallerOf(c: Context<ApiEnv>): Caller {
  return { ...callerOf(c), watch: () => openWaitSignal(c.env) }
}

/** A request that can't be read counts as a refused submission, as at the other doors. */
async function readCounted(reading: Promise<ReadChat>, intake: Intake, caller: Caller): Promise<ReadChat> {
  try {
    return await reading
  } catch (error) {
    await intake.submit(Promise.reject(error), caller)
    throw error
  }
}

/** The jobs' ids, in the log line of the request and for the caller, who finds them at the native routes. */
function nameJobs(c: Context<ApiEnv>, accepted: readonly Accepted[]): void {
  const ids = accepted.map(({ job }) => job.id)
  const [first] = ids
  if (first !== undefined) c.set('jobId', first)
  const replayed = accepted.some((one) => one.replayed)
  const headers = { 'X-Job-Id': ids.join(', '), ...(replayed ? replayedHeader : {}) }
  // On Node's own response, so that an error carries them, too.
  for (const [name, value] of Object.entries(headers)) c.env.outgoing.setHeader(name, value)
}

/** Reads what a job ended with, its answer or, thrown, what it has instead. */
function readerOf({ request, writeLabel }: ReadChat): (job: FinalJob) => Answer {
  const asked = {
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
    logprobs: request.logprobs,
    topLogprobs: request.top_logprobs ?? 0,
    writeLabel,
  }
  return (job) => {
    const failure = failureOf(job)
    if (failure !== null) throw withRequestNames(failure, request)
    return readAnswer(job.output, asked)
  }
}

/** The answers of the jobs. Throws what the first one without an answer has instead. */
function choicesOf(
  accepted: readonly Accepted[],
  chat: ReadChat,
  { idempotencyKey, waitMs }: { idempotencyKey: string | null; waitMs: number },
): { job: Job; answer: Answer }[] {
  const read = readerOf(chat)
  return accepted.map(({ job }) => {
    if (!isFinalJob(job)) {
      const then =
        idempotencyKey === null
          ? 'The job was canceled. With stream there is no limit.'
          : 'The job goes on: the same request with the same Idempotency-Key gets its answer.'
      throw new VisionQueueError('deadline_exceeded', `There was no answer after ${waitMs} ms. ${then}`)
    }
    return { job, answer: read(job) }
  })
}

function isFinalJob(job: Job): job is FinalJob {
  return isFinal(job.status)
}
