import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { findAssets } from '@vision-queue/test-support/assets'
import { createEnginePool } from './engine-pool.ts'
import type { EnginePool } from './inference.ts'

const assets = findAssets()
const outputSchema = z.object({ labels: z.array(z.object({ label: z.string(), score: z.number() })).min(1) })

/** A version folder of two or three lines of our own around a graph that is only linked to. */
async function serve(root: string, name: string, modelJson: object, files: string[]): Promise<EnginePool> {
  const folder = join(root, name, '1')
  await mkdir(join(folder, 'onnx'), { recursive: true })
  const source = join(assets ?? '', 'models', name)
  await symlink(join(source, 'model.onnx'), join(folder, 'onnx', 'model.onnx'))
  for (const file of files) await symlink(join(source, file), join(folder, file))
  await writeFile(join(folder, 'model.json'), JSON.stringify(modelJson))
  return createEnginePool({
    modelFolder: folder,
    name,
    version: '1',
    engines: 1,
    intraOpThreads: 1,
    runTimeoutMs: 60_000,
    log: { info() {}, warn() {}, error() {} },
  })
}

async function classify(pool: EnginePool, image: Uint8Array) {
  const { output } = await pool.run({ id: 'job', images: [image], input: {}, parameters: {}, deadlineAt: null })
  return outputSchema.parse(output).labels
}

describe.skipIf(assets === null)('models that others made (skipped where the assets folder is absent)', () => {
  let root = ''
  const pools: EnginePool[] = []
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'foreign-'))
  })
  afterAll(async () => {
    await Promise.all(pools.map(async (pool) => pool.close({ deadlineMs: 0 })))
    await rm(root, { recursive: true })
  })

  it('squeezenet (float16, batch fixed to 1, BGR of 0..255, softmax of [1,1000,1,1]) names what photos show', async () => {
    const modelJson = {
      task: 'image-classification',
      channels: 'BGR',
      preprocessing: { do_rescale: false, do_normalize: false },
      labels: 'labels.txt',
    }
    const pool = await serve(root, 'squeezenet-imagenet', modelJson, ['labels.txt'])
    pools.push(pool)
    expect(await pool.ready).toMatchObject({ variant: 'fp16', provider: 'cpu', maxBatchSize: 1 })
    const photos: [string, string, number][] = [
      ['cat.jpg', 'Egyptian cat', 0.88],
      ['dog.jpg', 'golden retriever', 0.97],
      ['kitten_224.png', 'tabby', 0.93],
      ['fish.png', 'tench', 0.74],
      ['goldfish.jpg', 'goldfish', 1],
      ['wolves.jpg', 'white wolf', 0.99],
      ['coffee.png', 'espresso', 0.99],
    ]
    const answers = await Promise.all(
      photos.map(async ([file]) => classify(pool, await readFile(join(assets ?? '', 'images', file)))),
    )
    expect(answers.map(([best]) => best)).toEqual(
      photos.map(([, label, score]) => ({
        label: expect.stringContaining(label),
        score: expect.closeTo(score, 1),
      })),
    )
  })

  it('a text-direction classifier (other names, every dimension open) tells upside down in batches', async () => {
    const modelJson = {
      task: 'image-classification',
      preprocessing: { size: { height: 48, width: 192 }, image_mean: [0.5], image_std: [0.5] },
      labels: ['0', '180'],
    }
    const pool = await serve(root, 'paddle-text-direction', modelJson, [])
    pools.push(pool)
    await pool.ready
    // Letters drawn by their strokes: test machines need no fonts. "FELT 74".
    const letters = [
      'M0 60V0H36M0 28H28',
      'M36 60H0V0H36M0 28H28',
      'M0 0V60H34',
      'M0 0H40M20 0V60',
      '',
      'M0 0H36L12 60',
      'M28 60V0L0 40H38',
    ]
    const paths = letters.map((path, index) => `<path transform="translate(${20 + index * 52} 18)" d="${path}"/>`)
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="384" height="96"><rect width="384" height="96" fill="#fff"/><g fill="none" stroke="#000" stroke-width="8">${paths.join('')}</g></svg>`
    const line = sharp(Buffer.from(svg))
    const upright = await line.png().toBuffer()
    const turned = await sharp(upright).rotate(180).png().toBuffer()
    const answers = await Promise.all([upright, turned, upright].map(async (image) => classify(pool, image)))
    expect(answers.map(([best]) => best?.label)).toEqual(['0', '180', '0'])
    for (const [first, second] of answers) expect((first?.score ?? 0) + (second?.score ?? 0)).toBeCloseTo(1, 3)
  })
})
