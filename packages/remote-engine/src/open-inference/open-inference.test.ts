import type { EnginePool, InferenceRequest } from '@vision-queue/engine-pool'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { type FakeInference, startFakeInference } from '../../test/fake-inference.ts'
import { closeRemotes, openRemote } from '../../test/open-remote.ts'

let fake: FakeInference
beforeEach(async () => {
  fake = await startFakeInference()
})
afterEach(async () => {
  await closeRemotes()
  await fake.close()
})

const open = (): EnginePool => openRemote(fake.url, { kind: 'open-inference', model: 'double' })
const large = '9007199254740993'
function jobOf(tensors: InferenceRequest['input'], parameters: InferenceRequest['parameters'] = {}): InferenceRequest {
  return { id: 'job', images: [], input: { tensors }, parameters, deadlineAt: null }
}
const x = { data: [1, 2.5, -3, 0.1], shape: [2, 2] }
const doubled = { dtype: 'float32', shape: [2, 2], data: [2, 5, -6, 0.200000003] }

describe('a model of a server of the Open Inference Protocol', () => {
  it('is announced by what the server says of it', async () => {
    const manifest = await open().ready
    expect(manifest).toMatchObject({ task: 'tensors', provider: 'open-inference', images: { min: 0, max: 0 } })
    const { properties } = manifest.inputSchema
    expect(properties).toMatchObject({
      tensors: {
        properties: { x: { description: 'float32 [any, 2]' }, n: { description: 'int64 [1]' } },
        required: ['x', 'n'],
        additionalProperties: false,
      },
    })
  })

  it('computes tensors to the bit where the server takes binary data', async () => {
    const { output } = await open().run(jobOf({ x, n: { data: [large] } }))
    expect(output).toEqual({ outputs: { doubled, same: { dtype: 'int64', shape: [1], data: [large] } } })
    expect(fake.asked).toEqual({ binary: 1, json: 0 })
  })

  it('computes them by numbers where it takes no other', async () => {
    fake.isBinary = false
    const pool = open()
    const { output } = await pool.run(jobOf({ x, n: { data: [7] } }))
    expect(output).toEqual({ outputs: { doubled, same: { dtype: 'int64', shape: [1], data: [7] } } })
    expect(fake.asked).toEqual({ binary: 0, json: 1 })
    await expect(pool.run(jobOf({ x, n: { data: [large] } }))).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringMatching(/^input\.tensors\.n: expected numbers that JSON has/),
    })
  })

  it('gives the outputs that are asked for, as base64 where that is wished', async () => {
    const asked = { outputs: ['same'], encoding: 'base64' }
    const { output } = await open().run(jobOf({ x, n: { data: [1] } }, asked))
    expect(output).toEqual({ outputs: { same: { dtype: 'int64', shape: [1], data: 'AQAAAAAAAAA=' } } })
  })

  it.each<[string, InferenceRequest['input'], InferenceRequest['parameters'], RegExp]>([
    [
      'another shape',
      { x: { data: [1, 2, 3], shape: [1, 3] }, n: { data: [1] } },
      {},
      /x\.shape: expected float32 \[any, 2\]/,
    ],
    ['a missing tensor', { x }, {}, /tensors\.n/],
    ['an output that is no number', { x, n: { data: [1] } }, { outputs: ['words'] }, /there is no words/],
  ])('refuses a job with %s before the server is asked', async (_, tensors, parameters, sentence) => {
    await expect(open().run(jobOf(tensors, parameters))).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringMatching(sentence),
    })
    expect(fake.asked).toEqual({ binary: 0, json: 0 })
  })

  it('is quoted where it finds fault with a job, and asked again where it has no room', async () => {
    const pool = open()
    fake.failure = { status: 400, body: { error: "unexpected shape for input 'x'" } }
    await expect(pool.run(jobOf({ x, n: { data: [1] } }))).rejects.toMatchObject({
      detail: "The server of this model says: unexpected shape for input 'x'",
    })
    fake.failure = { status: 503, body: { error: 'Exceeds maximum queue size' } }
    const waiting = pool.run(jobOf({ x, n: { data: [1] } }))
    await vi.waitFor(() => expect(pool.stats().remote?.refused).toBeGreaterThan(1), { timeout: 20_000 })
    fake.failure = null
    expect((await waiting).output).toMatchObject({ outputs: { doubled } })
  })

  it('is waited for while it is not ready, and refused where it takes no numbers', async () => {
    fake.isReady = false
    const pool = open()
    await vi.waitFor(() => expect(pool.trouble?.detail).toMatch(/is not ready \(400\)/), { timeout: 20_000 })
    fake.isReady = true
    fake.datatypes.x = 'BYTES'
    await expect(pool.ready).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringMatching(/x is BYTES/),
    })
    await expect(pool.run(jobOf({}))).rejects.toMatchObject({ code: 'model_unavailable' })
  })
})
