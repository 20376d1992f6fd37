import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { FLOAT, ints, model, node, value, weight } from '@vision-queue/models/test/onnx-writer'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { type Answers, askModel, type Question } from '../proofs/ask-model.ts'
import { compareOutputs } from '../proofs/compare-outputs.ts'
import { findVulkan, type Vulkan } from '../proofs/vulkan.ts'

/*
 * The short form of `npm run proof:webgpu`: a graph of few operators, as Vulkan on the CPU compiles each for seconds. Where
 * the machine has no Vulkan, SwiftShader is unpacked from Debian's package; without both there is nothing to test.
 */

/** A convolution, its mean over the image and a layer on top: a wave for every weight. */
const graph = model(
  wave('kernels', 8, 3, 3, 3),
  node('Conv', ['pixel_values', 'kernels'], 'found', [ints('kernel_shape', [3, 3]), ints('strides', [2, 2])]),
  node('Relu', ['found'], 'kept'),
  node('ReduceMean', ['kept'], 'means', [ints('axes', [2, 3])]),
  node('Flatten', ['means'], 'flat'),
  wave('layer', 8, 3),
  node('MatMul', ['flat', 'layer'], 'logits'),
  value(11, 'pixel_values', FLOAT, ['batch_size', 3, 32, 32]),
  value(12, 'logits', FLOAT, ['batch_size', 3]),
)

function wave(name: string, ...dims: number[]): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1)
  const values = Array.from({ length: count }, (_, index) => Math.sin(1 + index * 1.7))
  return weight(name, dims, values)
}

let vulkan: Vulkan | null
let repository: string
let questions: Question[]
beforeAll(async () => {
  vulkan = await findVulkan(fileURLToPath(new URL('../../.vision-queue/software-vulkan', import.meta.url))).catch(
    (error: unknown) => {
      console.warn(
        `SKIPPED: nothing was run on webgpu, for there is no Vulkan here, nor one on the CPU (${String(error)}).`,
      )
      return null
    },
  )
  repository = await mkdtemp(join(tmpdir(), 'webgpu-'))
  const folder = join(repository, 'waves', '1')
  await mkdir(join(folder, 'onnx'), { recursive: true })
  await writeFile(join(folder, 'onnx', 'model.onnx'), graph)
  const preprocessing = { size: { height: 32, width: 32 }, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }
  const labels = ['one', 'two', 'three']
  await writeFile(
    join(folder, 'model.json'),
    JSON.stringify({ task: 'image-classification', labels, preprocessing, max_batch_size: 1 }),
  )
  questions = await Promise.all(['red', 'teal', 'white'].map(async (colour) => questionAbout(colour)))
}, 300_000)
afterAll(async () => {
  await rm(repository, { recursive: true })
})

/** A bar on black, so that the convolution has edges to find. */
async function questionAbout(colour: string): Promise<Question> {
  const bar = await sharp({ create: { width: 10, height: 30, channels: 3, background: colour } })
    .extend({ left: 20, right: 30, background: 'black' })
    .png()
    .toBuffer()
  return { question: colour, body: JSON.stringify({ model: 'waves', input: { image: bar.toString('base64') } }) }
}

function ask(provider: string, env: Record<string, string>): Promise<Answers> {
  return askModel('waves', {
    provider,
    env: { MODEL_REPOSITORY: repository, ...env },
    questions: () => questions,
  })
}

test('a whole service on the webgpu provider, and on no other, answers as the CPU provider does', async (context) => {
  if (vulkan === null) {
    context.skip('There is no Vulkan.')
    return
  }
  const onCpu = await ask('cpu', {})
  const onWebgpu = await ask('webgpu', {
    ...vulkan.env,
    EXECUTION_PROVIDERS: 'webgpu',
    REQUIRE_PROVIDER: 'webgpu',
  })
  expect(onWebgpu.details).toMatchObject({ provider: 'webgpu', status: 'ready', refused_providers: [] })
  expect(onWebgpu.outputs).toHaveLength(3)
  // Images that get the same answer would prove nothing.
  expect(new Set(onCpu.outputs.map(({ output }) => JSON.stringify(output))).size).toBe(3)
  const difference = compareOutputs(onCpu.outputs, onWebgpu.outputs)
  expect(difference.else).toEqual([])
  expect(difference.number).toBeLessThan(1e-4)
}, 180_000)
