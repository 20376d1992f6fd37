import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { bytes, integer, message, model, node, text, value, FLOAT } from '@vision-queue/models/test/onnx-writer'
import { mixingGraph } from '../../test/tiny-graphs.ts'
import { withAnyBatch, withRowsApart } from './fixed-batch.ts'
import { readGraphFacts } from '@vision-queue/models'
import type { Feed, OutputTensor } from './tensor.ts'
import type { Session } from './session.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graphs-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** A graph that adds the mean of its batch to each row, and gives back the switch that it was fed. */
function mixing(batch: number | null, sizes: number[] = []): Session {
  return {
    inputs: new Map([
      ['x', { type: 'float32', dims: [batch, 1] }],
      ['use_cache_branch', { type: 'bool', dims: [1] }],
    ]),
    outputs: new Map([['y', { type: 'float32', dims: [batch, 1] }]]),
    provider: 'cpu',
    refusals: [],
    async run({ x, use_cache_branch: branch }): Promise<Record<string, OutputTensor>> {
      const values = Array.from(x?.data ?? [], Number)
      sizes.push(values.length)
      if (branch?.dims.join() !== '1') throw new Error('the switch has one place')
      const mean = values.reduce((sum, each) => sum + each, 0) / values.length
      return { y: { data: Float32Array.from(values, (each) => each + mean), dims: [values.length, 1] } }
    },
    async close() {},
  }
}

const feeds: Record<string, Feed> = {
  x: { type: 'float32', data: Float32Array.from([1, 2, 3]), dims: [3, 1] },
  use_cache_branch: { type: 'bool', data: Uint8Array.from([1]), dims: [1] },
}

it.each([
  [null, [1, 1, 1]],
  [2, [2, 2, 2]],
])('rows that run apart have nothing of each other (batch of the graph: %s)', async (batch, runs) => {
  const sizes: number[] = []
  const { y } = await withRowsApart(mixing(batch, sizes)).run(feeds)
  // Each row and its own mean.
  expect(y).toEqual({ data: Float32Array.from([2, 4, 6]), dims: [3, 1] })
  expect(sizes).toEqual(runs)
})

it('a fixed batch size is filled up, and inputs of one dimension stay as they are', async () => {
  const sizes: number[] = []
  const { y } = await withAnyBatch(mixing(2, sizes)).run(feeds)
  expect(y).toEqual({ data: Float32Array.from([2.5, 3.5, 6]), dims: [3, 1] })
  expect(sizes).toEqual([2, 2])
})

it('an operator that mixes rows is found, also in a branch of an If', async () => {
  const branch = message(node('DynamicQuantizeLinear', ['x'], ['a', 'b', 'c']), text(2, 'branch'))
  const attribute = message(text(1, 'then_branch'), bytes(6, branch), integer(20, 5))
  const files = {
    'plain.onnx': mixingGraph('mean'),
    'dynamic.onnx': mixingGraph('range'),
    'branch.onnx': model(node('If', ['x'], 'y', [attribute]), value(12, 'y', FLOAT, [1])),
  }
  const found = []
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), content)
    found.push((await readGraphFacts(join(folder, name)))?.mixesRows)
  }
  expect(found).toEqual([null, 'DynamicQuantizeLinear', 'DynamicQuantizeLinear'])
})
