import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { fixedOutputs } from '../../test/fixed-outputs.ts'
import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

const answerSchema = z.object({ objects: z.array(z.object({ label: z.string() })) })
const preprocessing = { do_rescale: true, do_normalize: false }
const base = { task: 'object-detection', labels: ['cat', 'dog'], preprocessing }
/** Centre and size, in fractions: the left upper quarter, and one that reaches over the edge. */
const boxes = { dims: [2, 4], values: [0.25, 0.25, 0.5, 0.5, 0.9, 0.5, 0.4, 1] }
/** In an image of 20 x 30. */
const quarter = { xmin: 0, ymin: 0, xmax: 10, ymax: 15 }
const edge = { xmin: 14, ymin: 0, xmax: 20, ymax: 30 }

describe('heads of the DETR kind', () => {
  it('with a softmax whose last score is of nothing', async () => {
    const logits = { dims: [2, 3], values: [9, 0, 0, 0, 0, 9], whiter: [0, 0, 0, 0, 18, 0] }
    const folder = await writeFolder(base, { 'model.onnx': fixedOutputs({ logits, pred_boxes: boxes }) })
    const model = await load(folder)
    const [black, white] = await runBatch(model, [{ image: 'black' }, { image: 'white' }])
    expect(black).toEqual({ objects: [{ label: 'cat', score: expect.closeTo(1, 2), box: quarter }] })
    expect(white).toEqual({
      objects: [
        { label: 'dog', score: expect.closeTo(1, 2), box: edge },
        { label: 'cat', score: expect.closeTo(1, 2), box: quarter },
      ],
    })
  })

  it('with a sigmoid for each label, and the threshold and the number that a job asks for', async () => {
    const logits = { dims: [2, 2], values: [2, 1, -3, 0.5] }
    const folder = await writeFolder(base, { 'model.onnx': fixedOutputs({ logits, pred_boxes: boxes }) })
    const model = await load(folder)
    const [usual, all, one, none] = await runBatch(model, [
      { image: 'red' },
      { image: 'red', parameters: { threshold: 0 } },
      { image: 'red', parameters: { max_objects: 1 } },
      { image: 'red', parameters: { threshold: 0.99 } },
    ])
    const labels = (answer: unknown) => answerSchema.parse(answer).objects.map(({ label }) => label)
    expect(labels(usual)).toEqual(['cat', 'dog', 'dog'])
    expect(labels(all)).toEqual(['cat', 'dog', 'dog', 'cat'])
    expect(labels(one)).toEqual(['cat'])
    expect(none).toEqual({ objects: [] })
  })
})

describe('heads that model.json tells of', () => {
  /** 3 boxes in pixels of 8 x 8, as YOLO has them: one row of centres, of sizes, and of each label's scores. */
  const yolo = {
    dims: [6, 3],
    values: [2, 2.2, 6, 2, 2, 6, 4, 4, 4, 4, 4, 4, 0.9, 0.8, 0.1, 0.05, 0.1, 0.7],
  }
  const twice = { label: 'cat', score: expect.closeTo(0.9, 4), box: { xmin: 0, ymin: 0, xmax: 10, ymax: 15 } }
  const other = { label: 'dog', score: expect.closeTo(0.7, 4), box: { xmin: 10, ymin: 15, xmax: 20, ymax: 30 } }

  it('YOLO: scores follow the box, and what overlaps is suppressed', async () => {
    const folder = await writeFolder({ ...base, detection: {} }, { 'model.onnx': fixedOutputs({ output0: yolo }) })
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toEqual([{ objects: [twice, other] }])
    const keeping = await writeFolder(
      { ...base, detection: { overlap: 0.99, threshold: 0.75 } },
      { 'model.onnx': fixedOutputs({ output0: yolo }) },
    )
    expect(await runBatch(await load(keeping), [{ image: 'red' }])).toMatchObject([
      { objects: [{ label: 'cat' }, { label: 'cat', score: expect.closeTo(0.8, 4) }] },
    ])
  })

  it('YOLO of before: a row for each box, with a score that there is anything', async () => {
    const rows = { dims: [2, 7], values: [2, 2, 4, 4, 0.5, 0.9, 0.1, 6, 6, 4, 4, 1, 0.1, 0.7] }
    const folder = await writeFolder(
      { ...base, detection: { objectness: true, threshold: 0.4 } },
      { 'model.onnx': fixedOutputs({ output0: rows }) },
    )
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toEqual([
      { objects: [other, { ...twice, score: expect.closeTo(0.45, 4) }] },
    ])
  })

  it('SSD: boxes and scores apart, corners in fractions, the first score of nothing', async () => {
    const places = { dims: [2, 4], values: [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1] }
    const scores = { dims: [2, 3], values: [0, 5, 0, 5, 0, 0] }
    const detection = { boxes: 'b', scores: 's', box_format: 'xyxy', box_unit: 'fraction', background: 'first' }
    const folder = await writeFolder(
      { ...base, activation: 'softmax', detection },
      { 'model.onnx': fixedOutputs({ s: scores, b: places }) },
    )
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toEqual([
      { objects: [{ label: 'cat', score: expect.closeTo(0.987, 2), box: quarter }] },
    ])
  })

  it('rows that end in the number of a label', async () => {
    const rows = { dims: [3, 6], values: [0, 0, 4, 4, 0.9, 1, 0, 0, 4, 4, 0.8, 1, 0, 0, 0, 0, 0, 0] }
    const folder = await writeFolder(
      { ...base, detection: { rows: 'label' } },
      { 'model.onnx': fixedOutputs({ output0: rows }) },
    )
    const box = quarter
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toEqual([
      {
        objects: [
          { label: 'dog', score: expect.closeTo(0.9, 4), box },
          { label: 'dog', score: expect.closeTo(0.8, 4), box },
        ],
      },
    ])
  })
})

describe('boxes are in pixels of the upright original', () => {
  const logits = { dims: [1, 2], values: [9, -9] }
  const whole = { dims: [1, 4], values: [0.5, 0.5, 1, 1] }

  it('of an image that lies on its side', async () => {
    const folder = await writeFolder(base, { 'model.onnx': fixedOutputs({ logits, pred_boxes: whole }) })
    const model = await load(folder)
    const lying = await sharp(await colour('red'))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    const prepared = await model.prepare({ images: [lying], input: {}, parameters: {} })
    expect(await model.run([prepared])).toMatchObject([
      { objects: [{ box: { xmin: 0, ymin: 0, xmax: 30, ymax: 20 } }] },
    ])
  })

  it('of an image of which the model sees the middle', async () => {
    const crop = { ...preprocessing, size: { shortest_edge: 10 }, do_center_crop: true, crop_size: 8 }
    const folder = await writeFolder(
      { ...base, preprocessing: crop },
      { 'model.onnx': fixedOutputs({ logits, pred_boxes: whole }) },
    )
    // 20 x 30 becomes 10 x 15, of which 8 x 8 from (1, 3) on are seen.
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toMatchObject([
      { objects: [{ box: { xmin: 2, ymin: 6, xmax: 18, ymax: 22 } }] },
    ])
  })
})

describe('boxes of an image with ground around it', () => {
  const logits = { dims: [1, 2], values: [9, -9] }
  const half = { dims: [1, 4], values: [0.25, 0.25, 0.5, 0.5] }
  // 20 x 30 becomes 5 x 8, in the left upper corner of 8 x 8.
  const padding = { ...preprocessing, size: { longest_edge: 8 }, do_pad: true, pad_size: { height: 8, width: 8 } }

  it.each([
    ['are counted in the tensor', undefined, { xmin: 0, ymin: 0, xmax: 16, ymax: 15 }],
    [
      'are counted in the image where the graph is told which pixels are its',
      'pixel_mask',
      { xmin: 0, ymin: 0, xmax: 10, ymax: 15 },
    ],
  ])('%s', async (_, mask, box) => {
    const folder = await writeFolder(
      { ...base, preprocessing: padding },
      { 'model.onnx': fixedOutputs({ logits, pred_boxes: half }, 8, mask) },
    )
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toMatchObject([{ objects: [{ box }] }])
  })
})

describe('refusals', () => {
  const logits = { dims: [1, 5], values: [0, 0, 0, 0, 0] }
  it.each([
    [{}, { logits }, 'outputs named logits and pred_boxes, or `detection` in model.json; the graph has: logits'],
    [
      {},
      { logits, pred_boxes: { dims: [1, 4], values: [0, 0, 0, 0] } },
      'as many labels as logits has, or one less (2 labels, 5 logits)',
    ],
    [{ detection: { boxes: 'x' } }, { logits }, 'detection in model.json to name outputs of the graph (x)'],
    [{ labels: undefined }, { logits }, 'id2label in config.json or `labels` in model.json'],
  ])('%j', async (extras, outputs, complaint) => {
    const folder = await writeFolder(JSON.parse(JSON.stringify({ ...base, ...extras })), {
      'model.onnx': fixedOutputs(outputs),
    })
    await expect(load(folder)).rejects.toMatchObject({ detail: expect.stringContaining(complaint) })
  })

  it('a score that is not a number fails the job alone', async () => {
    const scores = { dims: [1, 2], values: [0, 0], whiter: [NaN, 0] }
    const folder = await writeFolder(base, {
      'model.onnx': fixedOutputs({ logits: scores, pred_boxes: { dims: [1, 4], values: [0.5, 0.5, 1, 1] } }),
    })
    await expect(load(folder)).rejects.toMatchObject({ code: 'model_unavailable' })
  })
})
