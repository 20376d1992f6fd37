import { finalJob } from '../job-forms.ts'
import { jobChannel, textKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { expect, test } from 'vitest'

import { collectEvents, textOf } from '../test-support/job-watch.ts'
import { blobs, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'
import { createTextLog } from '../text-log.ts'
import { openTextPublisher, type TextPublisher, type TextPublisherOptions } from './text-publisher.ts'

const queue = useTestQueue()

/** Ends what holds each job, as a consumer does that has stored its result. */
const ends = new Map<string, () => void>()

async function submit(): Promise<QueuedJob> {
  const job = newJob()
  await queue.client.submit(job, blobs)
  if (ends.size === 0) {
    queue.consume(async ({ id }) => {
      await new Promise<void>((resolve) => ends.set(id, resolve))
      return { kind: 'done' }
    })
    queue.atEnd(endAll)
  }
  await expect.poll(() => ends.has(job.id)).toBe(true)
  return job
}

function endAll(): void {
  for (const end of ends.values()) end()
  ends.clear()
}

function publisherOf({ id }: QueuedJob, options: Partial<TextPublisherOptions> = {}): TextPublisher {
  return openTextPublisher({ textLog: createTextLog(queue.redis), id, log: quiet, quietMs: 20, ...options })
}

async function finish(job: QueuedJob, text: string): Promise<void> {
  const final = finalJob(job, { status: 'succeeded', output: { text }, attempts: 1 }, 60_000)
  await queue.resultStore().finish(job, final)
}

type Collected = Awaited<ReturnType<typeof collectEvents>>

/** The pieces so far, each after its index. */
const piecesOf = ({ events }: Collected): string[] =>
  events.flatMap((event) => (event.kind === 'delta' ? [`${event.index}${event.text}`] : []))

test('an answer on its way comes in pieces, and not after the end', async () => {
  const job = await submit()
  const seen = await collectEvents(queue.client, job.id)
  const text = publisherOf(job)
  text.add({ text: 'a red', index: 0 })
  await expect.poll(() => piecesOf(seen)).toEqual(['0a red'])
  text.add({ text: ' circle', index: 5 })
  await expect.poll(() => piecesOf(seen)).toEqual(['0a red', '5 circle'])
  // Its engine died, and the text begins anew.
  text.add({ text: 'a', index: 0 })
  text.add({ text: ' blue', index: 1 })
  text.add({ text: ' star', index: 6 })
  text.end()
  text.add({ text: ' too late', index: 11 })
  await finish(job, 'a blue star')
  await seen.ended
  expect(textOf(seen.events)).toBe('a blue star')
  expect(seen.events.at(-1)?.kind).toBe('final')
  expect(piecesOf(seen)).not.toContainEqual(expect.stringContaining('late'))
})

test('an answer costs next to nothing while nobody listens, and is there for who comes late', async () => {
  const job = await submit()
  const text = publisherOf(job, { quietMs: 50 })
  const commands = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(await queue.redis.info('stats'))?.[1] ?? 0)
  await expect.poll(async () => (await commands()) - (await commands())).toBe(-1)
  const before = await commands()
  for (let index = 0; index < 1000; index += 1) text.add({ text: 'a', index })
  // INFO itself is one, and one asks who listens.
  expect((await commands()) - before).toBeLessThanOrEqual(2)
  expect(await queue.redis.exists(textKey(job.id))).toBe(0)
  const seen = await collectEvents(queue.client, job.id)
  let index = 1000
  await expect
    .poll(() => {
      text.add({ text: 'b', index })
      index += 1
      return piecesOf(seen)[0]
    })
    .toMatch(/^0a{1000}b+$/)
  text.end()
})

test('a reader that lost its connection gets what it missed, once', async () => {
  const job = await submit()
  const seen = await collectEvents(queue.client, job.id)
  const text = publisherOf(job)
  text.add({ text: 'a red', index: 0 })
  await expect.poll(() => piecesOf(seen)).toEqual(['0a red'])
  for (let round = 0; round < 3; round += 1) {
    await queue.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    text.add({ text: ` and ${round}`, index: 5 + 6 * round })
    // Whether it went out to nobody, or waits for somebody to listen again.
    await expect
      .poll(
        () => {
          text.add({ text: '', index: 11 + 6 * round })
          return textOf(seen.events)
        },
        { timeout: 5000 },
      )
      .toBe(`a red${Array.from({ length: round + 1 }, (_, index) => ` and ${index}`).join('')}`)
  }
  expect(piecesOf(seen)).toEqual(['0a red', '5 and 0', '11 and 1', '17 and 2'])
  text.end()
  await finish(job, 'a red and 0 and 1 and 2')
  await seen.ended
  expect(piecesOf(seen)).toHaveLength(4)
})

test('a reader that comes while a text of another consumer begins anew has the new text', async () => {
  const job = await submit()
  const seen = await collectEvents(queue.client, job.id)
  const [dead, alive] = [publisherOf(job), publisherOf(job)]
  dead.add({ text: 'a red circle', index: 0 })
  await expect.poll(() => textOf(seen.events)).toBe('a red circle')
  alive.add({ text: 'a blue', index: 0 })
  await expect.poll(() => textOf(seen.events)).toBe('a blue')
  // One that was only slow, and whose lock has lapsed.
  dead.add({ text: ' is left', index: 12 })
  alive.add({ text: ' star', index: 6 })
  await expect.poll(() => textOf(seen.events)).toBe('a blue star')
  dead.add({ text: ' of it', index: 20 })
  const late = await collectEvents(queue.client, job.id, { after: '2' })
  await expect.poll(() => piecesOf(late)).toEqual(['0a blue star'])
  expect(piecesOf(seen)).toEqual(['0a red circle', '0a blue', '6 star'])
  alive.end()
  await finish(job, 'a blue star')
  await Promise.all([seen.ended, late.ended])
})

test('a text whose log was lost is told anew, and is whole', async () => {
  const job = await submit()
  const seen = await collectEvents(queue.client, job.id)
  const text = publisherOf(job)
  text.add({ text: 'a red', index: 0 })
  await expect.poll(() => textOf(seen.events)).toBe('a red')
  await queue.redis.del(textKey(job.id))
  text.add({ text: ' circle', index: 5 })
  await expect.poll(() => textOf(seen.events)).toBe('a red circle')
  // One that lacks a piece of a log that is gone has the text at the end.
  const late = await collectEvents(queue.client, job.id)
  await expect.poll(() => textOf(late.events)).toBe('a red circle')
  await queue.redis.del(textKey(job.id))
  const change = { kind: 'piece', run: 'unknown', number: 7, text: '?', index: 99 }
  await queue.redis.publish(jobChannel(job.id), JSON.stringify(change))
  await queue.redis.publish(jobChannel(job.id), JSON.stringify({ ...change, number: 8 }))
  text.end()
  await finish(job, 'a red circle is left')
  await Promise.all([seen.ended, late.ended])
  expect([textOf(seen.events), textOf(late.events)]).toEqual(['a red circle is left', 'a red circle is left'])
})

test('a text that is over its bound comes with the end, and what is kept of it lapses', async () => {
  const job = await submit()
  const seen = await collectEvents(queue.client, job.id)
  const text = publisherOf(job, { maxBytes: 100 })
  for (let index = 0; index < 300; index += 30) {
    text.add({ text: 'x'.repeat(30), index })
    await queue.redis.ping()
  }
  await expect.poll(() => textOf(seen.events).length).toBeGreaterThan(0)
  expect(textOf(seen.events).length).toBeLessThanOrEqual(100)
  expect(await queue.redis.pttl(textKey(job.id))).toBeGreaterThan(60_000)
  text.end()
  await expect.poll(async () => queue.redis.pttl(textKey(job.id))).toBeLessThanOrEqual(30_000)
  expect(await queue.redis.pttl(textKey(job.id))).toBeGreaterThan(0)
  await finish(job, 'x'.repeat(300))
  await seen.ended
  expect(textOf(seen.events)).toBe('x'.repeat(300))
})

test('what a text costs grows with its length: twice the tokens are about twice the bytes', async () => {
  const inputBytes = async (): Promise<number> =>
    Number(/total_net_input_bytes:(\d+)/.exec(await queue.redis.info('stats'))?.[1] ?? 0)
  /** Bytes to Redis, in Redis and in the pieces that a reader got, for a text that is read along word by word. */
  const measure = async (tokens: number): Promise<{ sent: number; kept: number; read: number }> => {
    const job = await submit()
    const seen = await collectEvents(queue.client, job.id)
    const text = publisherOf(job)
    const before = await inputBytes()
    for (let token = 0; token < tokens; token += 1) {
      text.add({ text: ' word', index: 5 * token })
      // A token takes longer than Redis.
      await queue.redis.ping()
    }
    await expect.poll(() => textOf(seen.events).length).toBe(5 * tokens)
    const sent = (await inputBytes()) - before
    const kept = Number(await queue.redis.memory('USAGE', textKey(job.id), 'SAMPLES', 0))
    text.end()
    await finish(job, ' word'.repeat(tokens))
    await seen.ended
    const pieces = seen.events.filter(({ kind }) => kind === 'delta')
    return { sent, kept, read: pieces.reduce((sum, piece) => sum + JSON.stringify(piece).length, 0) }
  }
  await measure(100)
  const [half, whole] = [await measure(2000), await measure(4000)]
  if (process.env['SHOW_BYTES'] !== undefined) console.log(half, whole)
  for (const what of ['sent', 'kept', 'read'] as const) {
    expect([what, whole[what] / half[what] < 2.5]).toEqual([what, true])
  }
  // A whole text for each token would be 40 MB.
  expect(whole.sent).toBeLessThan(2_000_000)
})
