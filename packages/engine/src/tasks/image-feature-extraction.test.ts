import { afterAll, expect, it } from 'vitest'

import { load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { colourGraph } from '../../test/tiny-graphs.ts'

afterAll(removeFolders)

const base = {
  task: 'image-feature-extraction',
  preprocessing: { do_rescale: false, do_normalize: false },
}

it.each([
  ['[N, D, 1, 1]', 'NCHW' as const],
  ['[N, D]', 'NHWC' as const],
])('gives the embedding of each image of a batch, from %s', async (_, layout) => {
  const folder = await writeFolder(base, { 'model.onnx': colourGraph({ output: 'image_embeds', layout }) })
  const model = await load(folder)
  const [red, white, unit] = await runBatch(model, [
    { image: 'red' },
    { image: 'white' },
    { image: 'white', parameters: { normalize: true } },
  ])
  expect(red).toEqual({ embedding: [255, 0, 0] })
  expect(white).toEqual({ embedding: [255, 255, 255] })
  expect(unit).toEqual({ embedding: Array.from({ length: 3 }, () => expect.closeTo(Math.sqrt(1 / 3), 5)) })
})

it("gives the length 1 where model.json says so and the job doesn't say otherwise", async () => {
  const folder = await writeFolder({ ...base, normalize: true }, { 'vision_model.onnx': colourGraph() })
  const answers = await runBatch(await load(folder), [
    { image: 'blue' },
    { image: 'blue', parameters: { normalize: false } },
  ])
  expect(answers).toEqual([{ embedding: [0, 0, 1] }, { embedding: [0, 0, 255] }])
})
