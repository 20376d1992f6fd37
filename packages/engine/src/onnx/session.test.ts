import { join } from 'node:path'

import { env } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'

import { load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { colourGraph, dynamicGraph } from '../../test/tiny-graphs.ts'
import { executionOptionsSchema } from '@vision-queue/models'
import { readInt8Instructions } from '@vision-queue/process'
import { listProviders, openSession } from './session.ts'

// What ONNX Runtime prints of its own in red where a provider is refused is what this file provokes.
env.logLevel = 'fatal'

afterAll(removeFolders)

const base = { task: 'image-classification', labels: ['r', 'g', 'b'], preprocessing: { do_normalize: false } }
/** Providers that no machine of ours can use: openvino is in no build of onnxruntime-node. */
const absent = 'openvino'

describe('execution providers', () => {
  it('takes the first that can be used, and says why the others could not', async () => {
    const { manifest } = await load(await writeFolder(base), { execution: { providers: [absent, 'cpu'] } })
    expect(manifest).toMatchObject({
      provider: 'cpu',
      refusedProviders: [{ provider: absent, reason: expect.stringContaining('not in this build of ONNX Runtime') }],
    })
  })

  it.skipIf(listProviders().every(({ name }) => name !== 'cuda'))(
    'goes on to the next where the libraries of a provider can not be loaded',
    async () => {
      const folder = await writeFolder(base)
      const session = await openSession(join(folder, 'onnx/model.onnx'), {
        intraOpThreads: 1,
        providers: ['cuda', 'cpu'],
      })
      // On a machine with CUDA it is used; either way there is a session, and a reason where it isn't.
      expect(session.refusals.map(({ provider }) => provider)).toEqual(session.provider === 'cuda' ? [] : ['cuda'])
      await session.close()
    },
  )

  it('refuses to load where the provider that is required can not be used, or none of those wanted', async () => {
    const folder = await writeFolder(base)
    await expect(load(folder, { execution: { requireProvider: absent } })).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringMatching(/required can not be used \(openvino: not in this build/),
    })
    await expect(load(folder, { execution: { providers: [absent] } })).rejects.toMatchObject({
      detail: expect.stringContaining('None of the execution providers can be used'),
    })
  })

  it('refuses options that would be dropped on the way', () => {
    const parse = (providerOptions: object) => executionOptionsSchema.safeParse({ providerOptions }).success
    expect(parse({ cuda: { gpu_mem_limit: '1' } })).toBe(false)
    expect(parse({ webgpu: { preferredLayout: 'NHWC' } })).toBe(true)
  })
})

describe('variants', () => {
  // They differ in what they answer, so that it shows which one ran.
  const graphs = {
    'model.onnx': colourGraph({ factor: 1 }),
    'model_fp16.onnx': colourGraph({ factor: 2, type: 'float16' }),
    'model_quantized.onnx': colourGraph({ factor: 4 }),
  }

  it.each([
    ['fp32', 0.576],
    ['fp16', 0.787],
    ['int8', 0.965],
  ] as const)('runs %s where it is asked for', async (variant, score) => {
    const model = await load(await writeFolder(base, graphs), { execution: { variant } })
    expect(model.manifest.variant).toBe(variant)
    expect(await runBatch(model, [{ image: 'red' }])).toMatchObject([
      { labels: [{ label: 'r', score: expect.closeTo(score, 2) }, {}, {}] },
    ])
  })

  it('chooses one itself on the CPU by the instructions that the CPU has, never fp16', async () => {
    const instructions = await readInt8Instructions()
    const { manifest } = await load(await writeFolder(base, graphs))
    expect(manifest).toMatchObject(
      instructions === null
        ? { variant: 'fp32', choice: { graph: 'fp32', reason: 'the CPU has no instructions for int8' } }
        : { variant: 'int8', choice: { graph: 'int8', reason: `the CPU has ${instructions}` } },
    )
  })

  it('runs the one that model.json names, and names no other where VARIANT is set', async () => {
    const folder = await writeFolder({ ...base, variant: 'fp16' }, graphs)
    expect((await load(folder)).manifest).toMatchObject({ variant: 'fp16', choice: { basis: 'model_json' } })
    const set = await load(folder, { execution: { variant: 'fp32' } })
    expect(set.manifest).toMatchObject({ variant: 'fp32', choice: { basis: 'setting' } })
  })

  it('takes fp32 where int8 can not be loaded, and what there is where there is no fp32', async () => {
    const broken = { ...graphs, 'model_quantized.onnx': Uint8Array.of(1, 2, 3) }
    expect((await load(await writeFolder(base, broken))).manifest.variant).toBe('fp32')
    const only = { 'model_int8.onnx': graphs['model_quantized.onnx'] }
    expect((await load(await writeFolder(base, only))).manifest.variant).toBe('int8')
    await expect(load(await writeFolder(base, only), { execution: { variant: 'fp16' } })).rejects.toMatchObject({
      detail: 'There is no fp16 variant; there are: int8.',
    })
  })
})

describe('a graph that quantises by the range of the whole batch', () => {
  const dynamic = dynamicGraph()

  it('gives a job the same answer alone and beside any other: no two share a run', async () => {
    const model = await load(await writeFolder(base, { 'model.onnx': dynamic }))
    expect(model.manifest.maxBatchSize).toBe(1)
    const [alone] = await runBatch(model, [{ image: '#102030' }])
    const [beside] = await runBatch(model, [{ image: '#102030' }, { image: 'white' }])
    expect(beside).toEqual(alone)
  })

  it('is not chosen where there is another', async () => {
    const folder = await writeFolder(base, { 'model.onnx': colourGraph(), 'model_quantized.onnx': dynamic })
    const { manifest } = await load(folder)
    expect(manifest).toMatchObject({ variant: 'fp32', maxBatchSize: 32 })
    expect((await load(folder, { execution: { variant: 'int8' } })).manifest.maxBatchSize).toBe(1)
  })
})
