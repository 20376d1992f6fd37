import { VisionQueueError } from '@vision-queue/protocol'
import type { QueuedJob } from '../queued-job.ts'
import { expect, test } from 'vitest'

import { blobs, newJob, nobody, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

/** What Redis is asked about the id meanwhile, the id itself left out. */
async function askedAbout(id: string, work: () => Promise<unknown>): Promise<string[]> {
  const connection = queue.redis.duplicate()
  const monitor = await connection.monitor()
  const asked: string[] = []
  monitor.on('monitor', (_time: string, args: string[]) => {
    const words = args.join(' ')
    // Sent after the answer, whenever that is.
    if (words.startsWith('unsubscribe')) return
    if (words.includes(id) || words.includes('end of the work')) asked.push(words.replaceAll(id, ''))
  })
  try {
    await work()
    await queue.redis.echo('end of the work')
    await expect.poll(() => asked.at(-1)).toContain('end of the work')
  } finally {
    monitor.disconnect()
    connection.disconnect()
  }
  return asked
}

test.each(['read', 'cancel', 'readForRetry', 'events', 'waitFor'] as const)(
  '%s finds no job of another owner, whatever became of it, and asks no more than of an unknown id',
  async (what) => {
    const somebodys = (): QueuedJob => ({ ...newJob(), owner: 'somebody' })
    const [waiting, ended, failed] = [somebodys(), somebodys(), somebodys()]
    for (const job of [waiting, ended, failed]) await queue.client.submit(job, blobs)
    await queue.resultStore().finish(ended, succeeded(ended, 'a'))
    await queue.client.of('somebody').cancel(failed.id)
    const others = queue.client.of('somebody else')
    const ask = async (id: string): Promise<unknown> => {
      switch (what) {
        case 'events':
          return others
            .events(id)
            .open()
            .catch((error: unknown) => {
              if (error instanceof VisionQueueError && error.code === 'job_not_found') return null
              throw error
            })
        case 'waitFor':
          return others.waitFor(id, 10_000)
        case 'read':
        case 'cancel':
        case 'readForRetry':
          return others[what](id)
        default:
          return what satisfies never
      }
    }
    const ofUnknown = await askedAbout(nobody, async () => ask(nobody))
    expect(ofUnknown.length).toBeGreaterThan(2)
    for (const { id } of [waiting, ended, failed]) {
      let answer: unknown
      const asked = await askedAbout(id, async () => {
        answer = await ask(id)
      })
      expect(answer).toBeNull()
      expect(asked.toSorted()).toEqual(ofUnknown.toSorted())
    }
    expect(await queue.client.of('somebody').read(waiting.id)).toMatchObject({ status: 'queued' })
  },
)
