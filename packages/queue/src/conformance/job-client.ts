import { afterEach, beforeEach, describe } from 'vitest'

import type { QueuedJob } from '../queued-job.ts'
import { describeClaims } from './claims.ts'
import { describeEvents, describeText } from './events.ts'
import { describeEnds, describeJobs } from './jobs.ts'
import { owner, type QueueUnderTest, type Suite } from './suite.ts'

/** Describes what a queue does for its callers. `open` is called for each test. */
export function describeJobClient(name: string, open: () => Promise<QueueUnderTest>): void {
  let queue: QueueUnderTest
  beforeEach(async () => {
    queue = await open()
  })
  afterEach(async () => {
    await queue.close()
  })
  const submit = async (changes: Partial<QueuedJob> = {}): Promise<QueuedJob> => {
    const { job, blobs } = queue.newJob()
    const owned = { ...job, owner, ...changes }
    await queue.client.submit(owned, blobs)
    return owned
  }
  const suite: Suite = { queue: () => queue, submit, mine: () => queue.client.of(owner) }
  describe(`${name}: a job`, () => {
    describeJobs(suite)
  })
  describe(`${name}: the end of a job`, () => {
    describeEnds(suite)
  })
  describe(`${name}: the events of a job`, () => {
    describeEvents(suite)
  })
  describe(`${name}: the text of a job`, () => {
    describeText(suite)
  })
  describe(`${name}: an Idempotency-Key`, () => {
    describeClaims(suite)
  })
}
