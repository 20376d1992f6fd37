import { HandedBackError } from '@vision-queue/engine-pool'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { type Asked, type FakeOpenAi, startFakeOpenAi } from '../test/fake-openai.ts'
import { closeRemotes, jobOf, openRemote } from '../test/open-remote.ts'

const eventually = { timeout: 20_000 }
let fake: FakeOpenAi
beforeEach(async () => {
  fake = await startFakeOpenAi()
})
afterEach(async () => {
  await closeRemotes()
  await fake.close()
})

const full = { error: { message: 'too many requests', type: 'rate_limit_error', code: 429 } }

describe('a server without room', () => {
  it('has its window halved, and answers every job in the end', async () => {
    const held: Asked[] = []
    const pool = openRemote(fake.url, { max_in_flight: 8 })
    fake.answer = (asked) => {
      held.push(asked)
      // Taken at once, so that the window grows while nothing is answered.
      asked.reply.piece('an ')
    }
    const answers = Promise.all(Array.from({ length: 20 }, async (_, at) => pool.run(jobOf(`job ${at}`))))
    await vi.waitFor(() => expect(held).toHaveLength(8), eventually)
    expect(pool.stats().remote?.window).toEqual({ high: 1, normal: 8, low: 1 })
    let refusals = 0
    const later: Asked[] = []
    fake.answer = (asked) => {
      refusals += 1
      if (refusals <= 4) asked.reply.json(429, full, { 'Retry-After': '0' })
      else later.push(asked)
    }
    for (const { reply } of held) {
      reply.piece('answer')
      reply.end()
    }
    await vi.waitFor(() => expect(pool.stats().remote?.refused).toBe(4), eventually)
    expect(pool.stats().remote?.window.normal).toBeLessThanOrEqual(4)
    fake.answer = ({ reply }) => reply.text('an ', 'answer')
    for (const { reply } of later) reply.text('an ', 'answer')
    const texts = (await answers).map(({ output }) => output['text'])
    expect(texts).toEqual(Array.from({ length: 20 }, () => 'an answer'))
    expect(pool.stats().jobs).toEqual({ succeeded: 20 })
  })

  it('is sent the most urgent job first', async () => {
    const pool = openRemote(fake.url, { max_in_flight: 1 })
    const answers = Promise.all(
      (['low', 'normal', 'high'] as const).map(async (priority) => pool.run(jobOf(priority, { priority }))),
    )
    await answers
    expect(fake.asked.map(({ question }) => question)).toEqual(['high', 'normal', 'low'])
  })
})

describe('a server that fails', () => {
  it.each<[string, (asked: Asked) => void]>([
    ['breaks an answer off', ({ reply }) => (reply.piece('half '), setImmediate(reply.breakOff))],
    ['ends an answer without saying why', ({ reply }) => (reply.piece('half '), reply.event('[DONE]'))],
    ['fails', ({ reply }) => reply.json(500, { error: { message: 'CUDA error' } })],
    ['has lost the model', ({ reply }) => reply.json(404, { error: { message: 'no such model' } })],
    ['says nothing', () => {}],
    ['says something else', ({ reply }) => reply.event('<html>')],
    ['sends elsewhere', ({ reply }) => reply.json(307, '', { Location: `${fake.url}/v1/chat/completions` })],
  ])('that %s costs the job an attempt, which may pass', async (_, answer) => {
    fake.answer = answer
    const pool = openRemote(fake.url, { timeout_ms: 500 })
    await expect(pool.run(jobOf('a'))).rejects.toMatchObject({ code: 'model_unavailable' })
    expect(fake.asked).toHaveLength(1)
    expect(pool.stats()).toMatchObject({ jobs: { failed: 1 }, remote: { refused: 0 } })
  })

  it('ends for a reason of its own, and so does the job', async () => {
    fake.answer = ({ reply }) => reply.end('content_filter')
    const failed = openRemote(fake.url).run(jobOf('a'))
    await expect(failed).rejects.toMatchObject({
      code: 'inference_failed',
      detail: expect.stringMatching(/content_filter/),
    })
  })
})

describe('a server that is not there', () => {
  it('is waited for, with jobs handed back after three vain looks, and serves when it is back', async () => {
    const { port } = fake
    await fake.close()
    const pool = openRemote(fake.url, {}, { longestPauseMs: 100 })
    const early = pool.run(jobOf('early'))
    await expect(early).rejects.toBeInstanceOf(HandedBackError)
    expect(pool.trouble).toMatchObject({ detail: 'The server of this model can not be reached.', lost: true })
    await expect(pool.run(jobOf('late'))).rejects.toBeInstanceOf(HandedBackError)
    fake = await startFakeOpenAi(port)
    expect(await pool.ready).toMatchObject({ task: 'image-text-to-text', images: { min: 0, max: 16 } })
    expect(pool.trouble).toBeNull()
    expect((await pool.run(jobOf('back'))).output).toMatchObject({ text: 'back' })
  })

  it('has not heard of a job, which waits for it', async () => {
    const { port } = fake
    const pool = openRemote(fake.url, {}, { longestPauseMs: 100 })
    await pool.ready
    await fake.close()
    const waiting = pool.run(jobOf('patient'))
    await vi.waitFor(() => expect(pool.enginesUp).toBe(0), eventually)
    fake = await startFakeOpenAi(port)
    expect((await waiting).output).toMatchObject({ text: 'patient' })
    expect(pool.stats().jobs).toEqual({ succeeded: 1 })
  })

  it('takes no jobs yet, though it has said that it does: they wait, and lose no attempt', async () => {
    let refused = 0
    fake.answer = ({ question, reply }) => {
      refused += 1
      if (refused <= 3) reply.json(503, { error: { message: 'Loading model', code: 503 } })
      else reply.text(question)
    }
    const troubles: (string | undefined)[] = []
    const pool = openRemote(fake.url, {}, { onTrouble: () => troubles.push(pool.trouble?.detail) })
    expect((await pool.run(jobOf('patient'))).output).toMatchObject({ text: 'patient' })
    const notReady = 'The server of this model is not ready (503).'
    expect(troubles).toEqual([notReady, undefined, notReady, undefined, notReady, undefined])
    expect(pool.stats()).toMatchObject({ jobs: { succeeded: 1 }, remote: { refused: 0 } })
  })

  it.each<[string, FakeOpenAi['pages'], RegExp]>([
    ['is not well', { '/health': { status: 503, body: '' } }, /is not ready \(503\)/],
    ['refuses the key', { '/v1/models': { status: 401, body: {} } }, /refuses its key/],
    ['has other models', { '/v1/models': { status: 200, body: { data: [{ id: 'b' }] } } }, /no a-model; it has: b\./],
    ['is of another kind', { '/v1/models': { status: 200, body: '<html>' } }, /something else/],
  ])('is told of where it %s', async (_, pages, sentence) => {
    Object.assign(fake.pages, pages)
    const pool = openRemote(fake.url)
    await vi.waitFor(() => expect(pool.trouble?.detail).toMatch(sentence), eventually)
  })
})

describe('an address', () => {
  it.each(['http://192.0.2.1:8000', 'https://example.com', 'http://localhost.example.com'])(
    '%s is not asked where nobody has named it',
    (url) => {
      expect(() => openRemote(url)).toThrow(/REMOTE_ENGINE_HOSTS/)
    },
  )

  it('of a host that was named is asked, at the port that was named', () => {
    expect(() => openRemote('http://example.com:81', {}, { hosts: ['example.com:80'] })).toThrow(/REMOTE_ENGINE_HOSTS/)
    expect(() => openRemote('http://example.com', {}, { hosts: ['Example.com:80'] })).not.toThrow()
    expect(() => openRemote('https://example.com:8443', {}, { hosts: ['example.com'] })).not.toThrow()
  })

  it('comes with a key only where its variable is there', () => {
    const engine = { api_key_env: 'REMOTE_ENGINE_KEY_A' }
    expect(() => openRemote(fake.url, engine)).toThrow(/api_key_env/)
    expect(() => openRemote(fake.url, engine, { keys: { REMOTE_ENGINE_KEY_A: 'x' } })).not.toThrow()
    expect(() => openRemote(fake.url, { api_key_env: 'HOME' })).toThrow(/begins with REMOTE_ENGINE_KEY_/)
  })
})
