/** What every queue must do that the API is to stand on; run by the tests of each. Needs Vitest. */
export { describeApiKeys } from './conformance/api-keys.ts'
export { describeJobClient } from './conformance/job-client.ts'
export type { QueueUnderTest } from './conformance/suite.ts'
