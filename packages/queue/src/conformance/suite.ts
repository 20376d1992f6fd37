import type { FinalStatus, Job } from '@vision-queue/protocol'

import type { BlobBytes, JobClient } from '../producer/job-client.ts'
import type { OwnedJobs } from '../producer/owned-jobs.ts'
import type { QueuedJob } from '../queued-job.ts'

/** A queue with nothing in it, and a consumer of it that does what it is told. */
export interface QueueUnderTest {
  client: JobClient
  /** A job that the queue takes, and the bytes of its blobs. */
  newJob(): { job: QueuedJob; blobs: BlobBytes }
  /** Takes a job that waits. */
  run(id: string): Promise<void>
  /** Tells the whole text so far of a job that runs. */
  say(id: string, text: string): Promise<void>
  /** Ends a job that runs. */
  finish(id: string, status: FinalStatus, output: Job['output']): Promise<void>
  close(): Promise<void>
}

/** What the tests work with. */
export interface Suite {
  queue: () => QueueUnderTest
  submit: (changes?: Partial<QueuedJob>) => Promise<QueuedJob>
  mine: () => OwnedJobs
}

/** The owner of the jobs that a suite submits. */
export const owner = 'me'
/** The id of no job. */
export const nobody = 'job_000000000000000000nil'
export const output = { text: 'a red circle' }
