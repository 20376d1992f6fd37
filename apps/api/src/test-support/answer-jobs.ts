import type { Job } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import type { MemoryJobs } from '@vision-queue/queue/memory'

/** What becomes of a job: the text as it grows, if any, and the output; null: the job fails. */
export interface Doing {
  says?: string[]
  output: Job['output']
}

/** Runs every job that is submitted from now on, as a consumer would; null leaves it to the test. */
export function answerJobs(jobs: MemoryJobs, answer: (job: QueuedJob) => Doing | null): void {
  const { submit } = jobs
  jobs.submit = async (job, blobs, options) => {
    const accepted = await submit(job, blobs, options)
    const doing = answer(job)
    if (doing !== null) {
      setImmediate(() => {
        jobs.run(job.id)
        for (const text of doing.says ?? []) jobs.say(job.id, text)
        jobs.finish(job.id, doing.output === null ? 'failed' : 'succeeded', doing.output)
      })
    }
    return accepted
  }
}
