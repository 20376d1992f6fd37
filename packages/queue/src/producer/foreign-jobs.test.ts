import type { QueuedJob } from '../queued-job.ts'
import { expect, test } from 'vitest'

import { blobs, newJob, nobody, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

/** What Redis is asked about the id meanwhile, the id itself left out. */
async function askedAbout(id: string, work: () => Promise<unknown>): Promise<string[]> {
  const monitor = await queue.redis.duplicate().monitor()
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
  }
  return asked
}

test.each(['read', 'cancel', 'readForRetry', 'watch', 'waitFor'] as const)(
  '%s finds no job of another owner, whatever became of it, and asks no more than of an unknown id',
  async (what) => {
    const somebodys = (): QueuedJob => ({ ...newJob(), owner: 'somebody' })
    const [waiting, ended, failed] = [somebodys(), somebodys(), somebodys()]
    for (const job of [waiting, ended, failed]) await queue.client.submit(job, blobs)
    await queue.resultStore().finish(ended, succeeded(ended, 'a'))
    await queue.client.cancel(failed.id)
    const mayRead = ({ owner }: { owner: string | null }): boolean => owner === 'somebody else'
    const ask = async (id: string): Promise<unknown> => {
      switch (what) {
        case 'watch':
          return queue.client.watch(id, () => {}, undefined, mayRead)
        case 'waitFor':
          return queue.client.waitFor(id, 10_000, undefined, mayRead)
        case 'read':
        case 'cancel':
        case 'readForRetry':
          return queue.client[what](id, mayRead)
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
    expect(await queue.client.read(waiting.id)).toMatchObject({ status: 'queued' })
  },
)
