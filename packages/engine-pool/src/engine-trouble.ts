import type { EngineSeat } from './engine-seat.ts'
import type { EngineTrouble } from './inference.ts'

/** So many failed starts of every engine in a row, and the pool hands back its jobs. */
const lostAfterTries = 3

/** Why engines are missing; null where none of them failed to start the last time. */
export function describeTrouble(seats: readonly Pick<EngineSeat, 'failure'>[]): EngineTrouble | null {
  const failures = seats.flatMap(({ failure }) => failure ?? [])
  const [soonest] = failures.toSorted((a, b) => a.retryAt - b.retryAt)
  if (soonest === undefined) return null
  const lost = failures.length === seats.length && failures.every(({ tries }) => tries >= lostAfterTries)
  return { detail: soonest.error.detail, retryAt: soonest.retryAt, lost }
}
