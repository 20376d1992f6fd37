import { VisionQueueError } from '@vision-queue/protocol'
import type { JobClient, ModelDirectory } from '@vision-queue/queue/producer'
import { readRefusal } from '@vision-queue/redis'
import { z } from 'zod'

import type { ApiHandler } from '../api-env.ts'
import { modelsWithoutEngines, modelWithoutEnginesSchema } from './models-without-engines.ts'
import type { QueueTroubleLog } from './queue-trouble-log.ts'

export const healthSchema = z.object({ status: z.literal('ok') })

/** What a replica needs before it can accept jobs, and which of it is missing. */
export const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  missing: z
    .array(z.enum(['redis', 'writes', 'noeviction', 'blobs', 'models']))
    .describe(
      'redis: it does not answer; writes: it answers and refuses writes, as when its disk or memory is full; ' +
        'noeviction: it may drop accepted jobs when its memory is full, for want of maxmemory-policy noeviction; ' +
        'blobs: the store of large images (BLOB_STORE) can not be used; ' +
        'models: no consumer has ever had one ready',
    ),
  detail: z.string().optional().describe('Why it is missing, in a sentence'),
  without_engines: z
    .array(modelWithoutEnginesSchema)
    .optional()
    .describe(
      'models that no engine can run now; no reason for 503, because this replica accepts their jobs, which wait',
    ),
})
type Readiness = z.infer<typeof readinessSchema>

/** `GET /health`, `GET /health/live`: the process answers; says nothing of Redis, whose absence no restart cures. */
export const live: ApiHandler = (c) => c.json({ status: 'ok' } satisfies z.infer<typeof healthSchema>)

/** Rejects with a sentence that says why images can't be stored. */
export type StoreCheck = () => Promise<void>

interface ReadyOptions {
  checkStore: StoreCheck | null
  jobs: JobClient
  models: ModelDirectory
  trouble: QueueTroubleLog
  /** How old an earlier look at Redis may be that is told again. */
  maxAgeMs: number
}

interface Look {
  readiness: Promise<Readiness>
  endedAt: number
}

/**
 * `GET /health/ready`: 503 naming what is missing. Models without live consumers or engines count: their jobs are
 * accepted and wait, and a replica that is taken out of service could not accept them. They are named beside it.
 */
export function ready({ maxAgeMs, ...options }: ReadyOptions): ApiHandler {
  let latest: Look | null = null
  const readiness = (): Promise<Readiness> => {
    // One that has not ended serves all who ask meanwhile.
    if (latest !== null && performance.now() - latest.endedAt < maxAgeMs) return latest.readiness
    const look: Look = { readiness: readReadiness(options), endedAt: Infinity }
    latest = look
    void look.readiness.finally(() => {
      look.endedAt = performance.now()
    })
    return look.readiness
  }
  return async (c) => {
    const body = await readiness()
    return c.json(body, body.status === 'ready' ? 200 : 503, { 'Cache-Control': 'no-store' })
  }
}

/** Never rejects. */
async function readReadiness({
  jobs,
  models,
  checkStore,
  trouble,
}: Omit<ReadyOptions, 'maxAgeMs'>): Promise<Readiness> {
  let reads = false
  try {
    if ((await jobs.evictionPolicy()) !== null) {
      return notReady('noeviction', 'Redis drops keys when its memory is full: set maxmemory-policy noeviction.')
    }
    const known = await models.list()
    reads = true
    await jobs.probeWrite([...new Set(known.map(({ name }) => name))])
    trouble.clear()
    const refusal = await checkStore?.().then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    if (typeof refusal === 'string') return notReady('blobs', refusal)
    const lost = modelsWithoutEngines(known)
    const readiness: Readiness = known.some(({ manifest }) => manifest !== null)
      ? { status: 'ready', missing: [] }
      : notReady('models', 'No consumer has ever had a model ready.')
    return { ...readiness, ...(lost.length === 0 ? {} : { without_engines: lost }) }
  } catch (error) {
    trouble.note(error)
    const refusal = error instanceof VisionQueueError ? readRefusal(error.cause) : null
    return notReady(reads && refusal !== null ? 'writes' : 'redis', refusal?.sentence ?? 'Redis does not answer.')
  }
}

function notReady(missing: Readiness['missing'][number], detail: string): Readiness {
  return { status: 'not_ready', missing: [missing], detail }
}
