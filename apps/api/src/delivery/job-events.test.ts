// oxlint-disable max-lines -- because it is the whole of what a stream promises
import { jobResponseSchema } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { png } from '../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

async function submit(api: TestApi): Promise<string> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  return jobResponseSchema.parse(await response.json()).id
}

interface OpenEvents {
  response: Response
  /** All that came so far. */
  text: () => string
  /** `id status` of each event so far. */
  events: () => string[]
  ended: Promise<void>
  hangUp: () => void
}

async function openEvents(api: TestApi, id: string, headers: Record<string, string> = {}): Promise<OpenEvents> {
  const client = new AbortController()
  const response = await fetch(`${api.url}/jobs/${id}/events`, { headers, signal: client.signal })
  let text = ''
  const read = async (): Promise<void> => {
    if (response.body === null) return
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) text += chunk
  }
  const ended = read()
  // Hanging up rejects it; tests that wait for the end still see that.
  ended.catch(() => {})
  const events = (): string[] =>
    [...text.matchAll(/^event: job\nid: (\d)\ndata: (.*)\n\n/gm)].map(
      ([, eventId, data]) => `${eventId} ${jobResponseSchema.parse(JSON.parse(data ?? '')).status}`,
    )
  return { response, text: () => text, events, ended, hangUp: () => client.abort() }
}

test('a snapshot, then each change, then the end', async () => {
  const api = await startApi()
  const id = await submit(api)
  const stream = await openEvents(api, id)
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
  await expect.poll(stream.events).toEqual(['1 queued'])
  api.jobs.run(id)
  await expect.poll(stream.events).toEqual(['1 queued', '2 running'])
  api.jobs.finish(id)
  await stream.ended
  expect(stream.events()).toEqual(['1 queued', '2 running', '3 succeeded'])
  expect(stream.text()).toMatch(/^retry: \d+\n\n/)
  expect(api.jobs.openWatches()).toBe(0)
})

test('an event holds the job as GET answers it', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.finish(id)
  const stream = await openEvents(api, id)
  await stream.ended
  const job: unknown = await (await fetch(`${api.url}/jobs/${id}`)).json()
  expect(stream.text()).toContain(`data: ${JSON.stringify(job)}\n`)
})

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
  const id = await submit(api)
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
  const id = await submit(api)
  api.jobs.run(id)
  api.jobs.say(id, 'a red')
  const stream = await openEvents(api, id, { 'Last-Event-ID': '2' })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  api.jobs.say(id, 'a red circle')
  await expect.poll(() => tokens(stream)).toEqual(['0 a red', '5  circle'])
})

/** The id of the last event so far. */
function lastId(stream: OpenEvents): string {
  return [...stream.text().matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? ''
}

describe('a stream that is resumed after a piece of the text', () => {
  const resumedAfter = async (said: string[], meanwhile: string[]): Promise<[TestApi, string, OpenEvents]> => {
    const api = await startApi()
    const id = await submit(api)
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
    const id = await submit(api)
    api.jobs.run(id)
    api.jobs.say(id, 'a red')
    const stream = await openEvents(api, id, { 'Last-Event-ID': '2.another.7' })
    await expect.poll(() => tokens(stream)).toEqual(['0 a red'])
  })

  test('has the end if the job ended meanwhile, after the rest of the text', async () => {
    const api = await startApi()
    const id = await submit(api)
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
  const id = await submit(api)
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
    const id = await submit(api)
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
    const id = await submit(api)
    api.jobs.finish(id, 'succeeded', { text, tokens: 9 })
    const stream = await openEvents(api, id, headers)
    await stream.ended
    expect([joined(stream), tokens(stream)]).toEqual([text, [`0 ${text}`]])
    expect(stream.events()).toEqual(['3 succeeded'])
  })

  test('for a stream that was resumed in the middle', async () => {
    const api = await startApi()
    const id = await submit(api)
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
      const id = await submit(api)
      api.jobs.finish(id, status)
      const stream = await openEvents(api, id)
      await stream.ended
      expect(tokens(stream)).toEqual([])
    }
  })
})

test('a final job is one event and the end', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.finish(id, 'expired')
  const stream = await openEvents(api, id)
  await stream.ended
  expect(stream.events()).toEqual(['3 expired'])
  expect(api.jobs.openWatches()).toBe(0)
})

test('a quiet stream is kept alive by comments', async () => {
  const api = await startApi({ SSE_HEARTBEAT_MS: '100' })
  const stream = await openEvents(api, await submit(api))
  await expect.poll(stream.text).toMatch(/(: heartbeat\n\n){2}/)
})

test('with Last-Event-ID what was seen is not repeated', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.run(id)
  const seen = await openEvents(api, id, { 'Last-Event-ID': '2' })
  const behind = await openEvents(api, id, { 'Last-Event-ID': '1' })
  await expect.poll(behind.events).toEqual(['2 running'])
  api.jobs.finish(id)
  await Promise.all([seen.ended, behind.ended])
  expect(seen.events()).toEqual(['3 succeeded'])
  expect(behind.events()).toEqual(['2 running', '3 succeeded'])
})

test('who has seen the final event is answered 204, so that an EventSource stops', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.finish(id)
  const stream = await openEvents(api, id, { 'Last-Event-ID': '3' })
  expect([stream.response.status, stream.response.body]).toEqual([204, null])
})

test('a client that goes away ends the watch', async () => {
  const api = await startApi()
  const id = await submit(api)
  const stream = await openEvents(api, id)
  await expect.poll(stream.events).toHaveLength(1)
  expect(api.jobs.openWatches()).toBe(1)
  stream.hangUp()
  await expect.poll(() => api.jobs.openWatches()).toBe(0)
})

test('a closing server ends the stream', async () => {
  const api = await startApi()
  const stream = await openEvents(api, await submit(api))
  await expect.poll(stream.events).toHaveLength(1)
  await api.stop()
  await stream.ended
  expect(api.jobs.openWatches()).toBe(0)
})

test('HEAD has the headers and leaves no watch behind', async () => {
  const api = await startApi()
  const id = await submit(api)
  const response = await fetch(`${api.url}/jobs/${id}/events`, { method: 'HEAD' })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  expect(api.jobs.openWatches()).toBe(0)
})

test('an unknown job is a problem, not a stream', async () => {
  const api = await startApi()
  for (const id of ['job_aaaaaaaaaaaaaaaaaaaaa', 'nonsense']) {
    for (const headers of [{}, { 'Last-Event-ID': '3' }]) {
      const { response } = await openEvents(api, id, headers)
      expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    }
  }
})

test('Redis away is 503', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.down = true
  expect((await problemOf(await fetch(`${api.url}/jobs/${id}/events`))).code).toBe('queue_unavailable')
})
