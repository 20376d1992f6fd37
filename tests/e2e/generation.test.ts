import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { readEvents } from '@vision-queue/test-support/client'
import { type System, startSystem } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

/** The tiny captioner behind the whole service: text generated in an engine, heard by an SSE subscriber. */
const captioner = fileURLToPath(new URL('../../packages/engine/test/tiny-captioner', import.meta.url))
const image = await readFile(fileURLToPath(new URL('../../models/shapes-vqa/1/examples/scene-01.jpg', import.meta.url)))
const answerSchema = z.object({
  id: z.string(),
  status: z.string(),
  output: z.object({ text: z.string(), tokens: z.int() }).nullable(),
  metrics: z.object({ batch_size: z.int() }).nullable(),
})
const tokenSchema = z.strictObject({ text: z.string(), index: z.int() })

let repository = ''
let system: System
beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'captioners-'))
  await mkdir(join(repository, 'captioner'))
  await cp(captioner, join(repository, 'captioner', '1'), { recursive: true })
  system = await startSystem({ consumerEnv: { MODELS: '', MODEL_REPOSITORY: repository, ENGINES: '1' } })
}, 60_000)
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

async function submit(parameters: Record<string, unknown>, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ input: { image: image.toString('base64') }, parameters }),
  })
  return response.json()
}

describe('a caption', () => {
  test('is answered, the same alone and among many', async () => {
    const alone = answerSchema.parse(await submit({}, { Prefer: 'wait=20' }))
    expect(alone).toMatchObject({ status: 'succeeded', output: { tokens: expect.any(Number) } })
    const many = await Promise.all(Array.from({ length: 24 }, async () => submit({}, { Prefer: 'wait=20' })))
    const answers = many.map((answer) => answerSchema.parse(answer))
    expect(answers.map(({ output }) => output)).toEqual(answers.map(() => alone.output))
    expect(Math.max(...answers.map(({ metrics }) => metrics?.batch_size ?? 0))).toBeGreaterThan(1)
  })

  test('comes to a subscriber in pieces that together are the text', async () => {
    // Enough work ahead for the subscriber to be there when the text begins.
    const ahead = Array.from({ length: 40 }, async () => submit({ num_beams: 8 }, { Prefer: 'wait=20' }))
    const { id } = answerSchema.pick({ id: true }).parse(await submit({}))
    const events = await readEvents(await fetch(`${system.url}/jobs/${id}/events`))
    await Promise.all(ahead)
    let text = ''
    let pieces = 0
    for (const { data } of events.filter(({ event }) => event === 'token')) {
      const piece = tokenSchema.parse(JSON.parse(data))
      text = text.slice(0, piece.index) + piece.text
      pieces += 1
    }
    const final = answerSchema.parse(JSON.parse(events.findLast(({ event }) => event === 'job')?.data ?? 'null'))
    expect(pieces).toBeGreaterThan(0)
    expect(final.output?.text).toBe(text)
  })

  test('comes once to a subscriber that hangs up in the middle and comes back', async () => {
    const ahead = Array.from({ length: 20 }, async () => submit({ num_beams: 8 }, { Prefer: 'wait=20' }))
    const { id } = answerSchema.pick({ id: true }).parse(await submit({}))
    const hangUp = new AbortController()
    const first = await fetch(`${system.url}/jobs/${id}/events`, { signal: hangUp.signal })
    let heard = ''
    const firstPiece = /^event: token\nid: (.*)\ndata: (.*)\n\n/m
    if (first.body === null) throw new Error('no events')
    for await (const chunk of first.body.pipeThrough(new TextDecoderStream())) {
      heard += chunk
      if (firstPiece.test(heard)) break
    }
    hangUp.abort()
    const [, lastEventId = '', data = ''] = firstPiece.exec(heard) ?? []
    const begun = tokenSchema.parse(JSON.parse(data))
    const second = await fetch(`${system.url}/jobs/${id}/events`, { headers: { 'Last-Event-ID': lastEventId } })
    const events = await readEvents(second)
    await Promise.all(ahead)
    const rest = events
      .filter(({ event }) => event === 'token')
      .map((event) => tokenSchema.parse(JSON.parse(event.data)))
    const final = answerSchema.parse(JSON.parse(events.findLast(({ event }) => event === 'job')?.data ?? 'null'))
    expect(begun.index).toBe(0)
    expect([begun.text, ...rest.map(({ text }) => text)].join('')).toBe(final.output?.text)
    expect(rest[0]?.index ?? begun.text.length).toBe(begun.text.length)
  })
})
