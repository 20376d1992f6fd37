import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, it } from 'vitest'

import { executionOptionsSchema, type Variant } from '@vision-queue/models'
import { type Capabilities, candidates, openChosen } from './variant-choice.ts'

const there: Variant[] = ['fp32', 'fp16', 'int8']
const vnni = { there, int8Instructions: 'avx512_vnni', int8IsDynamic: false }

describe('the order in which variants are tried', () => {
  const order = (machine: Partial<Capabilities>) => candidates({ ...vnni, onCpu: true, ...machine })
  it.each<[string, Partial<Capabilities>, Variant, string]>([
    ['a CPU with instructions for int8', {}, 'int8', 'the CPU has avx512_vnni'],
    ['one without', { int8Instructions: null }, 'fp32', 'the CPU has no instructions for int8'],
    ['no int8', { there: ['fp32', 'fp16'] }, 'fp32', 'there is no int8'],
    [
      'int8 that quantises while it runs',
      { int8IsDynamic: true },
      'fp32',
      'int8 is quantised by the range of a whole batch',
    ],
    ['another provider', { onCpu: false }, 'fp16', 'the provider is no CPU'],
    ['another provider without fp16', { onCpu: false, there: ['fp32', 'int8'] }, 'fp32', 'there is no fp16'],
    ['only forms of the web', { there: ['uint8', 'bnb4', 'q4f16', 'q4'] }, 'q4', 'there is no better one'],
    [
      'the same elsewhere',
      { onCpu: false, there: ['uint8', 'bnb4', 'q4f16', 'q4'] },
      'q4f16',
      'there is no better one',
    ],
    ['one file', { there: ['int8'], int8Instructions: null }, 'int8', 'it is the only one there is'],
  ])('%s', (_, machine, graph, reason) => {
    expect(order(machine)[0]).toEqual({ graph, reason: expect.stringContaining(reason) })
  })

  it('holds every variant there is once', () => {
    expect(
      order({})
        .map(({ graph }) => graph)
        .toSorted(),
    ).toEqual(['fp16', 'fp32', 'int8'])
  })
})

describe('opening the variant', () => {
  const closed: Variant[] = []
  const open = async (variant: Variant, provider = 'cpu') => ({
    variant,
    provider,
    close: async () => void closed.push(variant),
  })
  const refused = (text: string, cause?: unknown) => new VisionQueueError('model_unavailable', text, { cause })
  const execution = executionOptionsSchema.parse({})

  it('VARIANT goes before model.json, and model.json before what the machine is made for', async () => {
    const set = executionOptionsSchema.parse({ variant: 'fp16' })
    const bySetting = await openChosen(vnni, { execution: set, ofModel: 'fp32' }, open)
    const byModel = await openChosen(vnni, { execution, ofModel: 'fp32' }, open)
    const byMachine = await openChosen(vnni, { execution, ofModel: undefined }, open)
    expect([bySetting, byModel, byMachine].map(({ choice }) => choice)).toEqual([
      { graph: 'fp16', basis: 'setting', reason: 'VARIANT is set', at: null },
      { graph: 'fp32', basis: 'model_json', reason: 'model.json names it', at: null },
      { graph: 'int8', basis: 'capability', reason: 'the CPU has avx512_vnni', at: null },
    ])
  })

  it('a variant whose file is refused gives way to the next, which says so', async () => {
    const { model, choice } = await openChosen(vnni, { execution, ofModel: undefined }, async (variant) => {
      if (variant === 'int8') throw refused('no graph')
      return open(variant)
    })
    expect([model.variant, choice.reason]).toEqual(['fp32', 'int8 could not be loaded'])
  })

  it('a failure that may pass is no reason for another variant', async () => {
    const opening = openChosen(vnni, { execution, ofModel: undefined }, async (variant) => {
      if (variant === 'int8') throw refused('can not be loaded', new Error('std::bad_alloc'))
      return open(variant)
    })
    await expect(opening).rejects.toThrow('can not be loaded')
  })

  it('where the wanted provider refuses, it is the CPU that counts', async () => {
    const gpu = executionOptionsSchema.parse({ providers: ['cuda', 'cpu'] })
    const onGpu = await openChosen(vnni, { execution: gpu, ofModel: undefined }, async (variant) =>
      open(variant, 'cuda'),
    )
    expect(onGpu.choice.graph).toBe('fp16')
    const onCpu = await openChosen(vnni, { execution: gpu, ofModel: undefined }, open)
    expect(onCpu.choice).toMatchObject({ graph: 'int8', reason: 'the CPU has avx512_vnni' })
    expect(closed).toEqual(['fp16'])
  })
})
