import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { type OpenEvents, openEvents, submitJob } from '../test-support/open-events.ts'
import { startApi, type TestApi } from '../test-support/start-api.ts'

/** The id of the last event so far. */
function lastId(stream: OpenEvents): string {
  return [...stream.text().matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? ''
}

/** `index text` of each token event so far. */
function tokens(stream: OpenEvents): string[] {
  return [...stream.text().matchAll(/^event: token\nid: .*\ndata: (.*)\n\n/gm)].map(([, data]) => {
    const { text, index } = tokenSchema.parse(JSON.parse(data ?? ''))
    return `${index} ${text}`
  })
}
const tokenSchema = z.strictObject({ text: z.string(), index: z.int() })

test('an answer that is being generated comes in pieces, which together are the text', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  const stream = await openEvents(api, id)
  await expect.poll(stream.events).toHaveLength(1)
  api.jobs.run(id)
  for (const text of ['a red', 'a red', 'a red circle', 'a red circle is left']) api.jobs.say(id, text)
  await expect.poll(() => tokens(stream)).toEqual(['0 a red', '5  circle', '12  is left'])
  api.jobs.finish(id)
  await stream.ended
  expect(stream.events()).toEqual(['1 queued', '2 running', '3 succeeded'])
})

test('who comes late has the text so far as the first piece', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.run(id)
  api.jobs.say(id, 'a red')
  const stream = await openEvents(api, id, { 'Last-Event-ID': '2' })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  api.jobs.say(id, 'a red circle')
  await expect.poll(() => tokens(stream)).toEqual(['0 a red', '5  circle'])
})

describe('a stream that is resumed after a piece of the text', () => {
  const resumedAfter = async (said: string[], meanwhile: string[]): Promise<[TestApi, string, OpenEvents]> => {
    const api = await startApi()
    const id = await submitJob(api)
    api.jobs.run(id)
    const first = await openEvents(api, id)
    for (const text of said) api.jobs.say(id, text)
    await expect.poll(() => tokens(first)).toHaveLength(said.length)
    first.hangUp()
    await expect.poll(() => api.jobs.openWatches()).toBe(0)
    for (const text of meanwhile) api.jobs.say(id, text)
    const second = await openEvents(api, id, { 'Last-Event-ID': lastId(first) })
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    return [api, id, second]
  }

  test('has what it missed, once, and nothing of what it had', async () => {
    const [api, id, stream] = await resumedAfter(['a red', 'a red circle'], ['a red circle is', 'a red circle is left'])
    await expect.poll(() => tokens(stream)).toEqual(['12  is left'])
    api.jobs.say(id, 'a red circle is left of it')
    api.jobs.finish(id, 'succeeded', { text: 'a red circle is left of it', tokens: 9 })
    await stream.ended
    expect(tokens(stream)).toEqual(['12  is left', '20  of it'])
    expect(stream.events()).toEqual(['3 succeeded'])
  })

  test('has nothing if it missed nothing', async () => {
    const [api, id, stream] = await resumedAfter(['a red', 'a red circle'], [])
    api.jobs.finish(id, 'succeeded', { text: 'a red circle', tokens: 9 })
    await stream.ended
    expect(tokens(stream)).toEqual([])
  })

  test('is told of a text that has begun anew from the place where that differs', async () => {
    const [, , stream] = await resumedAfter(['a red', 'a red circle'], ['a blue', 'a blue star'])
    await expect.poll(() => tokens(stream)).toEqual(['2 blue star'])
  })

  test('has all of the text if what it had is not known any more, and then the end', async () => {
    const api = await startApi()
    const id = await submitJob(api)
    api.jobs.run(id)
    api.jobs.say(id, 'a red')
    const stream = await openEvents(api, id, { 'Last-Event-ID': '2.another.7' })
    await expect.poll(() => tokens(stream)).toEqual(['0 a red'])
  })

  test('has the end if the job ended meanwhile, after the rest of the text', async () => {
    const api = await startApi()
    const id = await submitJob(api)
    const first = await openEvents(api, id)
    api.jobs.run(id)
    api.jobs.say(id, 'a red')
    await expect.poll(() => tokens(first)).toHaveLength(1)
    first.hangUp()
    const text = 'a red circle'
    api.jobs.finish(id, 'succeeded', { text, tokens: 9 })
    const second = await openEvents(api, id, { 'Last-Event-ID': lastId(first) })
    await second.ended
    expect([tokens(second), second.events()]).toEqual([['5  circle'], ['3 succeeded']])
    // Between the rest of the text and the final event.
    const [, restId = ''] = /^event: token\nid: (.*)$/m.exec(second.text()) ?? []
    const third = await openEvents(api, id, { 'Last-Event-ID': restId })
    await third.ended
    expect([tokens(third), third.events()]).toEqual([[], ['3 succeeded']])
  })
})

test('a text that begins anew is told from the place where it differs, and one that is only behind not at all', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  const stream = await openEvents(api, id)
  await expect.poll(stream.events).toHaveLength(1)
  for (const text of ['a red circle', 'a', 'a red square']) api.jobs.say(id, text)
  await expect.poll(() => tokens(stream)).toEqual(['0 a red circle', '6 square'])
})

describe('the pieces of a text are all of it when the final event comes', () => {
  const text = 'a red circle is left of a blue square'
  /** What a client has that keeps to the pieces of this connection. */
  const joined = (stream: OpenEvents): string =>
    [...stream.text().matchAll(/^event: token\nid: .*\ndata: (.*)\n\n/gm)].reduce((so, [, data]) => {
      const piece = tokenSchema.parse(JSON.parse(data ?? ''))
      return so.slice(0, piece.index) + piece.text
    }, '')

  test.each([
    ['none had come', []],
    ['some had come', ['a red', 'a red circle']],
    ['all had come', ['a red', text]],
    ['they came twice and out of order', ['a red circle', 'a red', 'a red circle']],
    ['the job had begun anew', ['a green one', 'a']],
    ['more had been said than the answer holds', [`${text} and so on`]],
  ])('%s', async (_, said) => {
    const api = await startApi()
    const id = await submitJob(api)
    const stream = await openEvents(api, id)
    await expect.poll(stream.events).toHaveLength(1)
    api.jobs.run(id)
    for (const soFar of said) api.jobs.say(id, soFar)
    api.jobs.finish(id, 'succeeded', { text, tokens: 9 })
    api.jobs.say(id, 'too late')
    await stream.ended
    expect(joined(stream)).toBe(text)
    // Nothing comes after the final event, and nothing twice.
    expect(stream.text()).toMatch(/event: job\nid: 3\ndata: [^\n]*\n\n$/)
    expect(new Set(tokens(stream)).size).toBe(tokens(stream).length)
  })

  test.each([
    ['from the beginning', {}],
    ['after queued', { 'Last-Event-ID': '1' }],
    ['after running', { 'Last-Event-ID': '2' }],
  ])('for a stream that was resumed %s when the job had ended', async (_, headers) => {
    const api = await startApi()
    const id = await submitJob(api)
    api.jobs.finish(id, 'succeeded', { text, tokens: 9 })
    const stream = await openEvents(api, id, headers)
    await stream.ended
    expect([joined(stream), tokens(stream)]).toEqual([text, [`0 ${text}`]])
    expect(stream.events()).toEqual(['3 succeeded'])
  })

  test('for a stream that was resumed in the middle', async () => {
    const api = await startApi()
    const id = await submitJob(api)
    const first = await openEvents(api, id)
    await expect.poll(first.events).toHaveLength(1)
    api.jobs.run(id)
    api.jobs.say(id, 'a red circle')
    await expect.poll(() => joined(first)).toBe('a red circle')
    first.hangUp()
    const second = await openEvents(api, id, { 'Last-Event-ID': '2' })
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    api.jobs.finish(id, 'succeeded', { text, tokens: 9 })
    await second.ended
    expect(joined(second)).toBe(text)
  })

  test('an answer without a text, and a job that failed, have none', async () => {
    const api = await startApi()
    for (const status of ['succeeded', 'failed'] as const) {
      const id = await submitJob(api)
      api.jobs.finish(id, status)
      const stream = await openEvents(api, id)
      await stream.ended
      expect(tokens(stream)).toEqual([])
    }
  })
})
