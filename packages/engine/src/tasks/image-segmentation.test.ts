import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { fixedOutputs } from '../../test/fixed-outputs.ts'
import { load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

const preprocessing = { do_rescale: true, do_normalize: false }
const base = { task: 'image-segmentation', labels: ['cat', 'dog'], preprocessing }
const answerSchema = z.object({
  width: z.int(),
  height: z.int(),
  segments: z.array(z.object({ label: z.string(), score: z.number(), mask: z.string() })),
})

/** The answer for a red image of 20 x 30, with what some pixels of each mask are. */
async function ask(model: Awaited<ReturnType<typeof load>>, points: [number, number][], parameters = {}) {
  const [answer] = await runBatch(model, [{ image: 'red', parameters }])
  const { width, height, segments } = answerSchema.parse(answer)
  const looked = segments.map(async ({ label, score, mask }) => {
    const png = sharp(Buffer.from(mask, 'base64'))
    expect(await png.metadata()).toMatchObject({ width, height, channels: 1 })
    const data = await png.toColourspace('b-w').raw().toBuffer()
    return { label, score, at: points.map(([x, y]) => data[y * width + x]) }
  })
  return { width, height, segments: await Promise.all(looked) }
}

describe('segmentation', () => {
  it('gives each cell to its likeliest label', async () => {
    // Left columns are cats, the right one is a dog.
    const logits = { dims: [2, 2, 4], values: [9, 9, 9, 0, 9, 9, 9, 0, 0, 0, 0, 9, 0, 0, 0, 9] }
    const folder = await writeFolder(base, { 'model.onnx': fixedOutputs({ logits }) })
    const answer = await ask(await load(folder), [
      [1, 1],
      [12, 28],
      [19, 15],
    ])
    expect(answer).toEqual({
      width: 20,
      height: 30,
      segments: [
        { label: 'cat', score: expect.closeTo(1, 2), at: [255, 255, 0] },
        { label: 'dog', score: expect.closeTo(1, 2), at: [0, 0, 255] },
      ],
    })
    expect(await ask(await load(folder), [[0, 0]], { max_edge: 16, max_segments: 1 })).toMatchObject({
      width: 11,
      height: 16,
      segments: [{ label: 'cat' }],
    })
  })

  it.each([
    ['class_queries_logits', 'masks_queries_logits'],
    ['logits', 'pred_masks'],
  ])('asks the queries of %s and %s, and leaves out those that found nothing', async (classes, masks) => {
    const found = { dims: [3, 3], values: [9, 0, 0, 0, 0, 9, 0, 9, 0] }
    const places = { dims: [3, 2, 2], values: [9, 9, 9, 9, 9, 9, 9, 9, -9, -9, -9, 20] }
    const folder = await writeFolder(base, { 'model.onnx': fixedOutputs({ [classes]: found, [masks]: places }) })
    const { segments } = await ask(await load(folder), [
      [1, 1],
      [18, 28],
    ])
    expect(segments).toEqual([
      { label: 'cat', score: expect.closeTo(1, 2), at: [255, 0] },
      { label: 'dog', score: expect.closeTo(1, 2), at: [0, 255] },
    ])
  })

  it('keeps the soft edge of a foreground, of logits and of probabilities', async () => {
    const alphas = { dims: [1, 2, 2], values: [0, 0, 0.5, 1] }
    const extras = { labels: ['person'], activation: 'none' }
    const plain = await writeFolder({ ...base, ...extras }, { 'model.onnx': fixedOutputs({ alphas }) })
    const points: [number, number][] = [
      [0, 0],
      [0, 29],
      [19, 29],
    ]
    expect((await ask(await load(plain), points)).segments).toEqual([
      { label: 'person', score: expect.closeTo(0.75, 2), at: [0, 128, 255] },
    ])
    const logits = { dims: [1, 2, 2], values: [-99, -99, 0, 99] }
    const raw = await writeFolder(
      { task: base.task, preprocessing },
      { 'model.onnx': fixedOutputs({ output: logits }) },
    )
    expect((await ask(await load(raw), points)).segments).toEqual([
      { label: 'foreground', score: expect.closeTo(0.75, 2), at: [0, 128, 255] },
    ])
  })

  it('leaves black what the model does not see', async () => {
    const crop = { ...preprocessing, size: { shortest_edge: 10 }, do_center_crop: true, crop_size: 8 }
    const folder = await writeFolder(
      { ...base, labels: ['all'], preprocessing: crop, activation: 'none' },
      { 'model.onnx': fixedOutputs({ alphas: { dims: [1, 1, 1], values: [1] } }) },
    )
    const points: [number, number][] = [
      [1, 10],
      [10, 5],
      [2, 6],
      [17, 21],
      [18, 10],
      [10, 22],
    ]
    expect((await ask(await load(folder), points)).segments).toMatchObject([{ at: [0, 0, 255, 255, 0, 0] }])
  })

  it('refuses labels that do not fit the graph', async () => {
    const folder = await writeFolder(base, {
      'model.onnx': fixedOutputs({ logits: { dims: [3, 1, 1], values: [0, 0, 0] } }),
    })
    await expect(load(folder)).rejects.toMatchObject({
      detail: expect.stringContaining('labels that fit the graph: config.json or model.json have 2, the graph 3'),
    })
  })
})
