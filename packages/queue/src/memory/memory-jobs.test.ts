import { describeJobClient } from '../conformance/job-client.ts'
import { blobs, newJob } from '../test-support/test-queue.ts'
import { openMemoryJobs } from './memory-jobs.ts'

describeJobClient('the queue in memory', async () => {
  const client = openMemoryJobs()
  return {
    client,
    newJob: () => ({ job: newJob(), blobs }),
    run: async (id) => client.run(id),
    say: async (id, text) => client.say(id, text),
    finish: async (id, status, output) => client.finish(id, status, output),
    close: async () => client.close(),
  }
})
