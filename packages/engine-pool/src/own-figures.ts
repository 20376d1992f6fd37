/** What pools count, for those that are made elsewhere. */
export { type CapacityFigures, jobsPerSecond, newCapacityFigures, observeAnswers } from './pool-capacity.ts'
export { countJob, countRuns, newPoolFigures, type PoolFigures } from './pool-figures.ts'
export type { RuntimeLog } from './runtime-log.ts'
