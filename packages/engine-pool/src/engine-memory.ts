import { type Engine, takesJobs } from './engine.ts'
import type { Pool } from './pool.ts'

/** If the model alone takes nearly all that is allowed, a new process would not help. */
const mostAtRest = 0.9
/** In a run, in which it can't be asked to stop: of the limit, and of what it held when it was ready. */
const mostInRun = { ofLimit: 1.25, ofRest: 2 }

/** Whether the model alone takes the memory that an engine may have. */
export function fillsItsLimit({ memoryLimitBytes }: Pool['settings'], bytesAtRest: number): boolean {
  return memoryLimitBytes > 0 && bytesAtRest >= mostAtRest * memoryLimitBytes
}

/**
 * Whether an engine that has just answered and holds so much is to be emptied and replaced. One engine at a time, so
 * that the others go on.
 */
export function mustRetire(
  pool: Pick<Pool, 'settings' | 'engines' | 'closedBy'>,
  engine: Engine,
  residentBytes: number,
) {
  const { settings, engines, closedBy } = pool
  if (settings.memoryLimitBytes === 0 || residentBytes <= settings.memoryLimitBytes) return false
  if (fillsItsLimit(settings, engine.bytesAtRest)) return false
  return closedBy === null && engines.length === settings.engines && engines.every(takesJobs)
}

/** Whether an engine takes so much in a run that it is to be killed: it can't look itself while the run holds its thread. */
export function mustBeKilled({ memoryLimitBytes }: Pool['settings'], engine: Engine, residentBytes: number): boolean {
  if (memoryLimitBytes === 0 || engine.state !== 'up' || engine.killedFor !== null) return false
  return residentBytes > Math.max(mostInRun.ofLimit * memoryLimitBytes, mostInRun.ofRest * engine.bytesAtRest)
}
