import type { JobEvent } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import type { OwnedJobs } from '../producer/owned-jobs.ts'
import { nobody, output, type Suite } from './suite.ts'

/** Events as they come; `text` is what a reader has that keeps to the deltas. */
interface Reader {
  events: JobEvent[]
  kinds: () => string[]
  text: () => string
  position: () => string
  ended: Promise<void>
}

async function readEvents(
  jobs: OwnedJobs,
  id: string,
  options: Parameters<OwnedJobs['events']>[1] = {},
): Promise<Reader> {
  const events: JobEvent[] = []
  const opened = jobs.events(id, options)
  await opened.open()
  const read = async (): Promise<void> => {
    for await (const event of opened) events.push(event)
  }
  return {
    events,
    kinds: () => events.map((event) => (event.kind === 'delta' ? `${event.index}${event.text}` : event.job.status)),
    text: () =>
      events.reduce((text, event) => (event.kind === 'delta' ? text.slice(0, event.index) + event.text : text), ''),
    position: () => events.at(-1)?.position ?? '',
    ended: read(),
  }
}

/** States, positions and ends. */
export function describeEvents({ queue, submit, mine }: Suite): void {
  test('are what it is, then each change, then the end', async () => {
    const { id } = await submit()
    const reader = await readEvents(mine(), id)
    await expect.poll(reader.kinds).toEqual(['queued'])
    await queue().run(id)
    await expect.poll(reader.kinds).toEqual(['queued', 'running'])
    await queue().finish(id, 'failed', null)
    await reader.ended
    expect(reader.kinds()).toEqual(['queued', 'running', 'failed'])
    expect(reader.events.map(({ kind }) => kind)).toEqual(['state', 'state', 'final'])
  })

  test('of one that has ended are its end; of one that is not known there are none', async () => {
    const { id } = await submit()
    await mine().cancel(id)
    const reader = await readEvents(mine(), id)
    await reader.ended
    expect(reader.kinds()).toEqual(['canceled'])
    const seen = await readEvents(mine(), id, { after: reader.position() })
    await seen.ended
    expect(seen.events).toEqual([])
    await expect(async () => {
      for await (const event of mine().events(nobody)) expect(event).toBeNull()
    }).rejects.toMatchObject({ code: 'job_not_found' })
  })

  test('go on after a position, whatever that was; an unknown one is none', async () => {
    const { id } = await submit()
    const first = await readEvents(mine(), id)
    await expect.poll(first.kinds).toEqual(['queued'])
    const after = first.position()
    await queue().run(id)
    await expect.poll(first.kinds).toEqual(['queued', 'running'])
    const [behind, upToDate, lost] = [
      await readEvents(mine(), id, { after }),
      await readEvents(mine(), id, { after: first.position() }),
      await readEvents(mine(), id, { after: 'of another service' }),
    ]
    await queue().finish(id, 'failed', null)
    await Promise.all([behind.ended, upToDate.ended, lost.ended])
    expect([behind.kinds(), upToDate.kinds(), lost.kinds()]).toEqual([
      ['running', 'failed'],
      ['failed'],
      ['running', 'failed'],
    ])
  })

  test('end quietly when their signal fires, and when the client closes, as a wait does', async () => {
    const { id } = await submit()
    const hangUp = new AbortController()
    const [hungUp, closed] = [await readEvents(mine(), id, { signal: hangUp.signal }), await readEvents(mine(), id)]
    const waiting = mine().waitFor(id, 60_000)
    await expect.poll(() => [hungUp.kinds(), closed.kinds()]).toEqual([['queued'], ['queued']])
    hangUp.abort()
    await hungUp.ended
    // The wait listens by now, too.
    expect(await mine().waitFor(id, 20)).toMatchObject({ status: 'queued' })
    await queue().client.close()
    await closed.ended
    expect(await waiting).toMatchObject({ status: 'queued' })
  })
}

/** The text of an answer on its way. */
export function describeText({ queue, submit, mine }: Suite): void {
  const start = async (): Promise<string> => {
    const { id } = await submit()
    await queue().run(id)
    return id
  }

  test('comes in pieces, each once, and is whole before the end', async () => {
    const id = await start()
    const reader = await readEvents(mine(), id)
    await queue().say(id, 'a red')
    await expect.poll(reader.text).toBe('a red')
    await queue().say(id, 'a red circle')
    await expect.poll(reader.text).toBe('a red circle')
    await queue().finish(id, 'succeeded', { text: 'a red circle is left' })
    await reader.ended
    expect(reader.kinds()).toEqual(['running', '0a red', '5 circle', '12 is left', 'succeeded'])
  })

  test('comes to a late reader and to one that resumes as what it has not had', async () => {
    const id = await start()
    const first = await readEvents(mine(), id)
    await queue().say(id, 'a red')
    await expect.poll(first.text).toBe('a red')
    const after = first.position()
    await queue().say(id, 'a red circle')
    await expect.poll(first.text).toBe('a red circle')
    const late = await readEvents(mine(), id)
    await expect.poll(late.kinds).toEqual(['running', '0a red circle'])
    const resumed = await readEvents(mine(), id, { after })
    await expect.poll(resumed.kinds).toEqual(['5 circle'])
    await queue().finish(id, 'succeeded', { text: 'a red circle is left' })
    await Promise.all([first.ended, late.ended, resumed.ended])
    expect(late.kinds()).toEqual(['running', '0a red circle', '12 is left', 'succeeded'])
    expect(resumed.kinds()).toEqual(['5 circle', '12 is left', 'succeeded'])
  })

  test('of a job that begins anew is told from where it differs, and not at all while it is the same', async () => {
    const id = await start()
    const reader = await readEvents(mine(), id)
    await queue().say(id, 'a red circle')
    await expect.poll(reader.text).toBe('a red circle')
    await queue().say(id, 'a')
    await queue().say(id, 'a red star')
    await expect.poll(reader.kinds).toEqual(['running', '0a red circle', '6star'])
    await queue().finish(id, 'succeeded', { text: 'a red star' })
    await reader.ended
    expect(reader.text()).toBe('a red star')
  })

  test('is not told to who does not want it', async () => {
    const id = await start()
    const reader = await readEvents(mine(), id, { deltas: false })
    await queue().say(id, 'a red')
    await queue().finish(id, 'succeeded', output)
    await reader.ended
    expect(reader.kinds()).toEqual(['running', 'succeeded'])
  })
}
