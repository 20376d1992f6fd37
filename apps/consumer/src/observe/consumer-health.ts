import { z } from 'zod'

import type { AnnouncedModel } from '@vision-queue/queue'

/** What `GET /health/ready` of a consumer answers; ready: jobs that come now are run. */
export const consumerReadinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  missing: z.array(z.enum(['redis', 'models', 'stopping'])),
  detail: z.string().optional(),
})
export type ConsumerReadiness = z.infer<typeof consumerReadinessSchema>

/** What a consumer knows of itself. Before it is announced for the first time it has no models. */
export interface ConsumerView {
  /** When Redis last took its announcement, by the monotonic clock; null: not yet. */
  announcedAt: number | null
  models: readonly AnnouncedModel[]
  /** It finishes what it holds and takes nothing more. */
  closing: boolean
}

/**
 * Whether jobs that come now are run. `redis`: it took no announcement for as long as it takes until API processes hold
 * the consumer for gone; `models`: none has an engine that can take jobs; `stopping`: the consumer is being stopped.
 */
export function consumerReadiness(view: ConsumerView, { now, lifetimeMs }: { now: number; lifetimeMs: number }) {
  const notReady = (missing: ConsumerReadiness['missing'][number], detail: string): ConsumerReadiness => {
    return { status: 'not_ready', missing: [missing], detail }
  }
  if (view.closing) return notReady('stopping', 'The consumer is being stopped.')
  if (view.announcedAt === null || now - view.announcedAt > lifetimeMs) {
    return notReady('redis', 'Redis takes no announcement of this consumer.')
  }
  if (!view.models.some(({ enginesUp = 0 }) => enginesUp > 0)) return notReady('models', whyNone(view.models))
  return { status: 'ready', missing: [] } satisfies ConsumerReadiness
}

function whyNone(models: readonly AnnouncedModel[]): string {
  const wanted = models.filter(({ status }) => status !== 'unloaded')
  if (wanted.length === 0) return 'No model is there to be served: see MODELS and MODEL_REPOSITORY.'
  const said = wanted.map(({ name, version, status, error }) =>
    [`${name}@${version}: ${status}`, ...(error === null ? [] : [error])].join(', '),
  )
  return `No model has an engine that can take jobs. ${said.join('; ')}`
}
