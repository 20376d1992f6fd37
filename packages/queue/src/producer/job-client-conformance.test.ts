import { expect } from 'vitest'

import { describeJobClient } from '../conformance/job-client.ts'
import { finalJob } from '../job-forms.ts'
import type { QueuedJob } from '../queued-job.ts'
import { blobs, newJob, quiet, retention, useTestQueue } from '../test-support/test-queue.ts'
import { createTextLog } from '../text-log.ts'
import { openTextPublisher, type TextPublisher } from '../worker/text-publisher.ts'

const queue = useTestQueue()
const kept = { failedPayloadTtlMs: 10_000, failedPayloadMaxBytes: 100_000 }

/** What the consumer holds of a job until it is told to end it. */
interface Held {
  job: QueuedJob
  text: TextPublisher
  release: () => void
}

describeJobClient('the queue in Redis', async () => {
  const client = await queue.connect({ maxJobs: 100, maxBytes: 100_000, retention: { ...retention, ...kept } })
  const results = queue.resultStore(kept)
  const textLog = createTextLog(queue.redis)
  const held = new Map<string, Held>()
  let consumes = false
  let closed = false
  const consume = (): void => {
    if (consumes) return
    consumes = true
    queue.consume(
      async ({ job, startedAt, attempts }) => {
        if (job === null) throw new Error('unreadable')
        await results.announceRunning(job.id, startedAt, attempts)
        const text = openTextPublisher({ textLog, id: job.id, log: quiet, quietMs: 1 })
        if (!closed) await new Promise<void>((release) => held.set(job.id, { job, text, release }))
        return { kind: 'done' }
      },
      { concurrency: 100 },
    )
  }
  const take = async (id: string): Promise<Held> => {
    await expect.poll(() => held.has(id)).toBe(true)
    const taken = held.get(id)
    if (taken === undefined) throw new Error(`${id} is not held`)
    return taken
  }
  return {
    client,
    newJob: () => ({ job: newJob(), blobs }),
    async run(id) {
      consume()
      await take(id)
    },
    async say(id, text) {
      const { text: publisher } = await take(id)
      publisher.add({ index: 0, text })
    },
    async finish(id, status, output) {
      const { job, text, release } = await take(id)
      text.end()
      await results.finish(job, finalJob(job, { status, output, attempts: 1 }, 60_000))
      release()
    },
    async close() {
      closed = true
      for (const { release } of held.values()) release()
    },
  }
})
