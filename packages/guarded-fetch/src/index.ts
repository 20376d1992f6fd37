export { isPublicAddress } from './address-rules.ts'
export { createGuardedFetch, type FetchOutcome, type GuardedFetch, type GuardedFetchOptions } from './guarded-fetch.ts'
export { parseHostPatterns } from './url-rules.ts'
