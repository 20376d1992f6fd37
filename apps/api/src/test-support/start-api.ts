import { createJobController, parseSettings, safeLogging } from '@vision-queue/process'
import { type Problem, problemSchema } from '@vision-queue/protocol'
import { type MemoryJobs, openMemoryJobs } from '@vision-queue/queue/memory'
import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'

import { createApp } from '../app.ts'
import { apiSettings } from '../config.ts'
import { openHttpServer } from '../http-server.ts'
import { createMetrics } from '../observe/metrics.ts'
import { createFetchImage } from '../intake/fetch-image.ts'
import { expectDocumentedProblems } from './documented-problems.ts'
import { type MemoryUploads, openMemoryUploads } from './memory-uploads.ts'
import { type MemoryKeys, openMemoryKeys } from '@vision-queue/queue/memory'
import { type MemoryModels, openMemoryModels } from './served-models.ts'

export interface TestApi {
  url: string
  port: number
  jobs: MemoryJobs
  uploads: MemoryUploads
  keys: MemoryKeys
  models: MemoryModels
  app: ReturnType<typeof createApp>
  /** What was logged so far, one parsed line each. */
  logged: Record<string, unknown>[]
  /** What SIGTERM does; running requests may go on for `timeoutMs`. */
  stop(timeoutMs?: number): Promise<void>
  /** Fires `closing` alone. */
  startClosing(): void
}

/** The whole API on a free port, over a queue in memory, for one test; `network` is what images by address see of it. */
export async function startApi(
  env: Record<string, string> = {},
  network: Parameters<typeof createFetchImage>[0]['network'] = {},
): Promise<TestApi> {
  const settings = parseSettings(apiSettings, env)
  const logged: Record<string, unknown>[] = []
  const log: Logger = pino(
    { ...safeLogging, level: 'info' },
    { write: (line: string) => void logged.push(JSON.parse(line)) },
  )
  const closing = createJobController()
  const jobs = openMemoryJobs()
  const uploads = openMemoryUploads(settings.SHARE_ANSWERS)
  const keys = openMemoryKeys()
  const models = openMemoryModels()
  const metrics = createMetrics()
  const fetchImage = createFetchImage({ settings, metrics, log, network })
  const app = createApp({
    jobs,
    uploads,
    keys,
    models,
    checkStore: null,
    fetchImage,
    settings,
    log,
    metrics,
    closing: closing.signal,
  })
  expectDocumentedProblems(app)
  const server = await openHttpServer({
    app,
    host: '127.0.0.1',
    port: 0,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    log,
  })
  let stopping: Promise<void> | null = null
  const stop = async (timeoutMs = 2000): Promise<void> => {
    closing.abort()
    stopping ??= server.close(timeoutMs)
    await stopping
  }
  onTestFinished(() => stop())
  const url = `http://127.0.0.1:${server.port}`
  const startClosing = (): void => closing.abort()
  return { url, port: server.port, jobs, uploads, keys, models, app, logged, stop, startClosing }
}

/** The problem document of an answer, checked for its content type and its echo of the request id. */
export async function problemOf(response: Response): Promise<Problem> {
  if (response.headers.get('content-type') !== 'application/problem+json') {
    throw new Error(`no problem document but ${response.status} ${response.headers.get('content-type')}`)
  }
  const problem = problemSchema.parse(await response.json())
  if (problem.status !== response.status) throw new Error('the status in the document is not that of the answer')
  if (problem.request_id !== response.headers.get('x-request-id')) throw new Error('the request id is not the header')
  return problem
}

/** Submits as JSON. */
export function postJson(api: TestApi, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${api.url}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
