import type { JobSignal } from '@vision-queue/process'
import { toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'
import type { Uploads } from '@vision-queue/blobs'
import type { ApiKeys, JobClient, ModelDirectory } from '@vision-queue/queue/producer'
import type { Tracing } from '@vision-queue/tracing'
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import type { Logger } from 'pino'

import { allowsAnonymous, createAccess } from './guard/access.ts'
import { addressesAt } from './addresses.ts'
import type { ApiEnv } from './api-env.ts'
import type { ApiSettings } from './config.ts'
import { refuseIdempotencyKey } from './guard/refuse-idempotency-key.ts'
import { createIntake } from './intake/intake.ts'
import type { Metrics } from './observe/metrics.ts'
import { observeRequests } from './observe/observe-requests.ts'
import { type FailedRequest, problemResponse } from './problem-response.ts'
import { createQueueTroubleLog } from './observe/queue-trouble-log.ts'
import { nameRequest } from './observe/request-context.ts'
import { traceRequests } from './observe/trace-requests.ts'
import { cancelJob } from './doors/native/cancel-job.ts'
import { docsFile, docsPage, openApiDocument, whatIsWhere } from './doors/native/docs.ts'
import { getJob } from './delivery/get-job.ts'
import { live, ready, type StoreCheck } from './observe/health.ts'
import { jobEvents } from './delivery/job-events.ts'
import { listJobs } from './doors/native/list-jobs.ts'
import { showMetrics } from './observe/show-metrics.ts'
import { getModel, listModels } from './doors/native/models.ts'
import { orderModel } from './doors/native/order-model.ts'
import { purgeModel } from './doors/native/purge-model.ts'
import { retryJob } from './doors/native/retry-job.ts'
import { chatCompletions } from './doors/openai/chat-completions.ts'
import { isOpenAiPath, openAiErrorResponse } from './doors/openai/error-response.ts'
import { getOpenAiModel, listOpenAiModels } from './doors/openai/models.ts'
import { submitJob } from './doors/native/submit-job.ts'
import { createBodyBudget } from './guard/body-budget.ts'
import { beginUpload, completeUpload } from './doors/native/direct-upload.ts'
import { getImage, removeImage, uploadImage } from './doors/native/upload-image.ts'
import type { FetchImage } from './intake/fetch-image.ts'
import { refuseAmbiguousHeaders } from './guard/unambiguous-headers.ts'

export interface AppOptions {
  jobs: JobClient
  uploads: Uploads
  keys: ApiKeys
  models: ModelDirectory
  /** Rejects, saying why, where images that are not in Redis can't be stored; null: all are in Redis. */
  checkStore: StoreCheck | null
  /** Null: images aren't taken by their address. */
  fetchImage: FetchImage | null
  settings: ApiSettings
  log: Logger
  metrics: Metrics
  /** Null, the default: nothing is traced. */
  tracing?: Tracing | null
  /** Fires when the server closes: long-polls then answer with the job as it is, and event streams end. */
  closing: JobSignal
}

/** The HTTP API: every route in one place. Opens nothing, so there is nothing to close. */
export function createApp({
  jobs,
  uploads,
  keys,
  models,
  checkStore,
  fetchImage,
  settings,
  log,
  metrics,
  tracing = null,
  closing,
}: AppOptions): Hono<ApiEnv> {
  // Not strict: `/jobs/` is `/jobs`, for every method, without a redirect that would lose the body.
  const app = new Hono<ApiEnv>({ strict: false })
  // The log names the trace.
  app.use(nameRequest, ...(tracing === null ? [] : [traceRequests(tracing)]), observeRequests({ log, metrics }))
  if (settings.CORS_ORIGINS.length > 0) app.use(cors({ ...corsRules, origin: settings.CORS_ORIGINS }))
  const addressOf = addressesAt(settings.PUBLIC_URL)
  app.use(refuseAmbiguousHeaders, (c, next) => {
    c.set('addressOf', addressOf)
    return next()
  })
  const trouble = createQueueTroubleLog(log)
  const { needs, scrape } = createAccess({ keys, settings })

  const intake = createIntake({ jobs, uploads, models, fetchImage, settings, metrics, closing })
  const bodyBudget = createBodyBudget({
    maxBytes: settings.MAX_BODY_BYTES_IN_FLIGHT,
    maxBodyBytes: settings.MAX_BODY_BYTES,
  })

  app.post('/jobs', needs('submit'), submitJob({ intake, bodyBudget, settings }))
  app.get('/jobs', needs('read'), listJobs(jobs))
  app.get('/jobs/:id', needs('read'), getJob({ jobs, closing }))
  app.post('/jobs/:id/cancel', needs('submit'), refuseIdempotencyKey, cancelJob(jobs))
  app.post('/jobs/:id/retry', needs('submit'), retryJob(intake))
  app.get('/jobs/:id/events', needs('read'), jobEvents({ jobs, closing, heartbeatMs: settings.SSE_HEARTBEAT_MS }))
  app.post('/images', needs('submit'), refuseIdempotencyKey, uploadImage({ uploads, bodyBudget, settings }))
  app.get('/images/:id', needs('submit'), getImage(uploads))
  app.delete('/images/:id', needs('submit'), refuseIdempotencyKey, removeImage(uploads))
  app.post('/uploads', needs('submit'), refuseIdempotencyKey, beginUpload({ uploads, bodyBudget, settings }))
  app.post('/uploads/:id/complete', needs('submit'), refuseIdempotencyKey, completeUpload({ uploads, settings }))
  app.get('/models', needs('read'), listModels(models))
  app.get('/models/:name', needs('read'), getModel(models))
  for (const action of ['load', 'unload', 'reload'] as const) {
    app.post(
      `/models/:name/${action}`,
      needs('admin'),
      refuseIdempotencyKey,
      orderModel({ models, bodyBudget, settings, action }),
    )
  }
  app.post('/models/:name/purge', needs('admin'), refuseIdempotencyKey, purgeModel({ jobs, models }))
  app.post('/v1/chat/completions', needs('submit'), chatCompletions({ intake, jobs, models, bodyBudget, settings }))
  app.get('/v1/models', needs('read'), listOpenAiModels(models))
  app.get('/v1/models/:id', needs('read'), getOpenAiModel(models))
  app.get('/health', live)
  app.get('/health/live', live)
  app.get('/health/ready', ready({ jobs, models, checkStore, trouble, maxAgeMs: settings.READINESS_MAX_AGE_MS }))
  app.get('/metrics', scrape, showMetrics({ jobs, models, metrics }))
  app.get('/openapi.json', openApiDocument(allowsAnonymous(settings) ? models : null, settings))
  app.get('/docs', docsPage)
  app.get('/docs/:file', docsFile)
  app.get('/', whatIsWhere)

  refuseOtherMethods(app, log)
  app.notFound((c) =>
    errorResponse(
      c.req.path,
      new VisionQueueError('not_found', 'There is nothing at this address; GET / says what is where.'),
      {
        requestId: c.get('requestId'),
        log,
      },
    ),
  )
  app.onError((error, c) => {
    c.set('errorCode', toVisionQueueError(error).code)
    trouble.note(error, c.get('requestContext'))
    return errorResponse(c.req.path, error, { requestId: c.get('requestId'), log })
  })
  return app
}

/** An error in the form that the clients of the address read. */
function errorResponse(path: string, error: unknown, request: FailedRequest): Response {
  return isOpenAiPath(path) ? openAiErrorResponse(error, request) : problemResponse(error, request)
}

/** For pages of the origins in CORS_ORIGINS. No credentials but the key that the page itself sends. */
const corsRules = {
  allowMethods: ['GET', 'HEAD', 'POST', 'DELETE'],
  allowHeaders: [
    'Authorization',
    'Content-Type',
    'Idempotency-Key',
    'Last-Event-ID',
    'Prefer',
    'Traceparent',
    'X-Request-Id',
    // What OpenAI's client tells of itself in a page.
    'OpenAI-Organization',
    'OpenAI-Project',
    ...[
      'Arch',
      'Helper-Method',
      'Lang',
      'OS',
      'Package-Version',
      'Retry-Count',
      'Runtime',
      'Runtime-Version',
      'Timeout',
    ].map((name) => `X-Stainless-${name}`),
  ],
  exposeHeaders: [
    'Idempotent-Replayed',
    'Location',
    'Preference-Applied',
    'RateLimit',
    'RateLimit-Policy',
    'Retry-After',
    'X-Job-Id',
    'X-Request-Id',
  ],
  maxAge: 600,
}

/** A known address with another method: OPTIONS is told what it takes, the rest is refused with 405. */
function refuseOtherMethods(app: Hono<ApiEnv>, log: Logger): void {
  // A route stands there once for each of its handlers.
  const methodsByPath = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (method !== 'ALL') methodsByPath.set(path, new Set(methodsByPath.get(path)).add(method))
  }
  for (const [path, methods] of methodsByPath) {
    const allow = [...methods, ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
    app.all(path, (c) => {
      if (c.req.method === 'OPTIONS') return c.body(null, 204, { Allow: allow })
      const refused = new VisionQueueError('method_not_allowed', `This address takes ${allow}.`)
      const response = errorResponse(c.req.path, refused, { requestId: c.get('requestId'), log })
      response.headers.set('Allow', allow)
      return response
    })
  }
}
