import type { Engine } from './engine.ts'
import type { EngineTrouble } from './inference.ts'

/** So many failed starts of every engine in a row, and the pool hands back its jobs. */
const lostAfterTries = 3

/** Why engines are missing; null if none of them failed to start the last time. */
export function describeTrouble(engines: readonly Pick<Engine, 'failure'>[]): EngineTrouble | null {
  const failures = engines.flatMap(({ failure }) => failure ?? [])
  const [soonest] = failures.toSorted((a, b) => a.retryAt - b.retryAt)
  if (soonest === undefined) return null
  const lost = failures.length === engines.length && failures.every(({ tries }) => tries >= lostAfterTries)
  return { detail: soonest.error.detail, retryAt: soonest.retryAt, lost }
}
