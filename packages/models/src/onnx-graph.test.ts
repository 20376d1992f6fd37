import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { bytes, FLOAT, innerGraph, message, model, node, text, value } from '../test/onnx-writer.ts'
import { readGraphFacts } from './onnx-graph.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graph-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

it('lists the operators of a graph, of the branches within branches, and of its own functions', async () => {
  const inner = innerGraph('then_branch', node('Softmax', ['x'], 'inner'), value(12, 'inner', FLOAT, [1]))
  const outer = innerGraph('then_branch', node('If', ['which'], 'outer', [inner]), value(12, 'outer', FLOAT, [1]))
  const own = bytes(25, message(text(1, 'Attend'), bytes(7, message(text(4, 'GroupQueryAttention')))))
  const path = join(folder, 'model.onnx')
  await writeFile(path, Buffer.concat([model(node('Relu', ['x'], 'y'), node('If', ['which'], 'z', [outer])), own]))
  const facts = await readGraphFacts(path)
  expect(facts?.operators).toEqual(new Set(['Relu', 'If', 'Softmax', 'GroupQueryAttention']))
})
