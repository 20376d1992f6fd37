import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, expect, it } from 'vitest'

import { removeFolders, writeFolder } from '../test/tiny-folder.ts'
import { colourGraph } from '../test/tiny-graphs.ts'

afterAll(removeFolders)

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const script = fileURLToPath(new URL('check-model.ts', import.meta.url))
const root = fileURLToPath(new URL('../../../', import.meta.url))
const base = { task: 'image-classification', labels: ['r', 'g', 'b'], preprocessing: { do_normalize: false } }

async function check(...args: string[]): Promise<{ code: unknown; output: string }> {
  const child = spawn(process.execPath, [bundleRunner, script, ...args], { cwd: root })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code]: unknown[] = await once(child, 'close')
  return { code, output }
}

it('prints what a good folder is, a sample and how long its batches take, and ends with 0', async () => {
  const folder = await writeFolder({ ...base, max_batch_size: 4 }, { 'model.onnx': colourGraph({ end: 'Softmax' }) })
  const { code, output } = await check(folder, '--providers', 'openvino,cpu')
  expect(code).toBe(0)
  for (const line of [
    'model input  pixel_values: float32 [any, 3, 4, 4]',
    'model output logits: float32 [any, 3, 1, 1], out of a softmax',
    'provider openvino can not be used: not in this build',
    'variant fp32, provider cpu, batches of up to 4, 3 labels',
    '"label":"r"',
    'The folder can be served.',
  ]) {
    expect(output).toContain(line)
  }
  expect(output).toMatch(/\n {4}4 +[\d.]+ +\d+\n/)
})

it('names each problem of a bad one by file and field, and ends with 1', async () => {
  const folder = await writeFolder({ ...base, labels: 3 }, undefined, { 'config.json': { id2label: { 1: 'a' } } })
  const bad = await check(folder)
  expect(bad.code).toBe(1)
  expect(bad.output).toMatch(/PROBLEM: .*model\.json: labels: .*config\.json: id2label: labels numbered/)
  expect(await check(join(folder, 'nowhere'))).toMatchObject({
    code: 1,
    output: expect.stringContaining('is no folder'),
  })
  expect(await check(folder, '--variant', 'fp8')).toMatchObject({
    code: 1,
    output: expect.stringContaining('variant: '),
  })
})
