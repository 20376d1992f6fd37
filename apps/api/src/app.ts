import { VisionQueueError } from '@vision-queue/jobs'
import type { ImageStore, JobClient, ModelDirectory } from '@vision-queue/transport'
import { Hono } from 'hono'
import type { Logger } from 'pino'

import type { ApiEnv } from './api-env.ts'
import type { ApiSettings } from './config.ts'
import type { Metrics } from './metrics.ts'
import { observeRequests } from './observe-requests.ts'
import { problemResponse } from './problem-response.ts'
import { nameRequest } from './request-id.ts'
import { cancelJob } from './routes/cancel-job.ts'
import { docsFile, docsPage, openApiDocument, whatIsWhere } from './routes/docs.ts'
import { getJob } from './routes/get-job.ts'
import { live, ready } from './routes/health.ts'
import { jobEvents } from './routes/job-events.ts'
import { listJobs } from './routes/list-jobs.ts'
import { showMetrics } from './routes/metrics.ts'
import { getModel, listModels } from './routes/models.ts'
import { orderModel } from './routes/order-model.ts'
import { purgeModel } from './routes/purge-model.ts'
import { retryJob } from './routes/retry-job.ts'
import { submitJob } from './routes/submit-job.ts'
import { getImage, removeImage, uploadImage } from './routes/upload-image.ts'

export interface AppOptions {
  jobs: JobClient
  images: ImageStore
  models: ModelDirectory
  settings: ApiSettings
  log: Logger
  metrics: Metrics
  /** Fires when the server closes: long-polls then answer with the job as it is, and event streams end. */
  closing: AbortSignal
}

/** The HTTP API: every route in one place. Opens nothing, so there is nothing to close. */
export function createApp({ jobs, images, models, settings, log, metrics, closing }: AppOptions): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>()
  app.use(nameRequest, observeRequests({ log, metrics }))

  app.post('/jobs', submitJob({ jobs, images, models, settings, metrics, closing }))
  app.get('/jobs', listJobs(jobs))
  app.get('/jobs/:id', getJob({ jobs, closing }))
  app.post('/jobs/:id/cancel', cancelJob(jobs))
  app.post('/jobs/:id/retry', retryJob({ jobs, images, models, settings }))
  app.get('/jobs/:id/events', jobEvents({ jobs, closing, heartbeatMs: settings.SSE_HEARTBEAT_MS }))
  app.post('/images', uploadImage({ images, settings }))
  app.get('/images/:id', getImage(images))
  app.delete('/images/:id', removeImage(images))
  app.get('/models', listModels(models))
  app.get('/models/:name', getModel(models))
  for (const action of ['load', 'unload', 'reload'] as const) {
    app.post(`/models/:name/${action}`, orderModel({ models, settings, action }))
  }
  app.post('/models/:name/purge', purgeModel({ jobs, models, settings }))
  app.get('/health', live)
  app.get('/health/live', live)
  app.get('/health/ready', ready({ jobs, models }))
  app.get('/metrics', showMetrics({ jobs, models, metrics }))
  app.get('/openapi.json', openApiDocument(models))
  app.get('/docs', docsPage)
  app.get('/docs/:file', docsFile)
  app.get('/', whatIsWhere)

  refuseOtherMethods(app, log)
  app.notFound((c) =>
    problemResponse(new VisionQueueError('not_found', 'There is nothing at this address; GET / says what is where.'), {
      requestId: c.get('requestId'),
      log,
    }),
  )
  app.onError((error, c) => problemResponse(error, { requestId: c.get('requestId'), log }))
  return app
}

/** A known address with another method: OPTIONS is told what it takes, the rest is refused with 405. */
function refuseOtherMethods(app: Hono<ApiEnv>, log: Logger): void {
  const methodsByPath = new Map<string, string[]>()
  for (const { path, method } of app.routes) {
    if (method !== 'ALL') methodsByPath.set(path, [...(methodsByPath.get(path) ?? []), method])
  }
  for (const [path, methods] of methodsByPath) {
    const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
    app.all(path, (c) => {
      if (c.req.method === 'OPTIONS') return c.body(null, 204, { Allow: allow })
      const refused = new VisionQueueError('method_not_allowed', `This address takes ${allow}.`)
      const response = problemResponse(refused, { requestId: c.get('requestId'), log })
      response.headers.set('Allow', allow)
      return response
    })
  }
}
