/** A queue in memory, for tests and for whoever wants to try the API without Redis. */
export { type MemoryJobs, openMemoryJobs } from './memory/memory-jobs.ts'
export { type MemoryKeys, noLimits, openMemoryKeys } from './memory/memory-keys.ts'
