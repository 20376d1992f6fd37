import { sameSecret } from '@vision-queue/process'
import { type ApiKey, type Scope, scopes as allScopes } from '@vision-queue/queue'
import { VisionQueueError } from '@vision-queue/protocol'
import type { ApiKeys, JobQuota } from '@vision-queue/queue/producer'

/** Who sent a request, and what that one may do. */
export interface Caller {
  /** What the caller's jobs and images carry: the id of the key; null without one. */
  owner: string | null
  scopes: readonly Scope[]
  quota: JobQuota | null
  /** Null for who has none: nobody else is told apart. */
  key: ApiKey | null
}

/** The callers there are without a key of the store. */
export const callers = {
  /** May all but administer. */
  anonymous: { owner: null, scopes: ['submit', 'read'], quota: null, key: null },
  /** Has ADMIN_KEY. */
  administrator: { owner: null, scopes: ['admin'], quota: null, key: null },
  /** Has ADMIN_KEY where everybody else may submit and read as well. */
  localAdministrator: { owner: null, scopes: allScopes, quota: null, key: null },
} as const satisfies Record<string, Caller>

interface Options {
  keys: Pick<ApiKeys, 'verify'>
  adminKey: string
  /** Whether who has no key is let in. */
  anonymous: boolean
}

/**
 * Tells who sends this `Authorization` header. A key that is not good is `unauthorized` even where none is
 * needed, as whoever sends one means it; other credentials, which may be a proxy's, count there as none.
 * Rejects with `queue_unavailable` where the key can't be looked up.
 */
export async function identify(authorization: string | undefined, options: Options): Promise<Caller> {
  const { keys, adminKey, anonymous } = options
  const token = bearerToken(authorization)
  if (token !== null && adminKey !== '' && sameSecret(token, adminKey)) {
    return anonymous ? callers.localAdministrator : callers.administrator
  }
  if (token?.startsWith('vq_') === true) {
    const key = await keys.verify(token)
    if (key === null)
      throw new VisionQueueError('unauthorized', 'This API key is not known, has expired or was revoked.')
    return { owner: key.id, scopes: key.scopes, quota: key.limits, key }
  }
  if (anonymous) return callers.anonymous
  throw new VisionQueueError('unauthorized', 'This needs an API key, as Authorization: Bearer vq_...')
}

/** What follows `Bearer` in the header; null where there is nothing. */
export function bearerToken(authorization: string | undefined): string | null {
  return /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null
}
