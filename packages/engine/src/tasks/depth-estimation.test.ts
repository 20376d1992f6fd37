import sharp from 'sharp'
import { afterAll, expect, it } from 'vitest'
import { z } from 'zod'

import { fixedOutputs } from '../../test/fixed-outputs.ts'
import { load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

const base = { task: 'depth-estimation', preprocessing: { do_rescale: true, do_normalize: false } }
const answerSchema = z.object({ depth: z.string(), min: z.number(), max: z.number(), width: z.int(), height: z.int() })

it.each([[[2, 2]], [[1, 2, 2]]])('gives a map of the size of the image and what its ends are; of %j', async (dims) => {
  const folder = await writeFolder(base, {
    'model.onnx': fixedOutputs({ predicted_depth: { dims, values: [1, 1, 2, 5], whiter: [1, 1, 1, 1] } }),
  })
  const [black, white] = await runBatch(await load(folder), [{ image: 'black' }, { image: 'white' }])
  const answer = answerSchema.parse(black)
  expect(answer).toMatchObject({ min: 1, max: 5, width: 20, height: 30 })
  expect(white).toMatchObject({ min: 2, max: 6, depth: answer.depth })
  const png = sharp(Buffer.from(answer.depth, 'base64'))
  expect(await png.metadata()).toMatchObject({ width: 20, height: 30, depth: 'ushort', channels: 1 })
  const { data } = await png.toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer({ resolveWithObject: true })
  const values = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
  expect([values[0], values[29 * 20], values[599]]).toEqual([0, 16384, 65535])
})

it('says so where all is equally far', async () => {
  const folder = await writeFolder(base, {
    'model.onnx': fixedOutputs({ predicted_depth: { dims: [2, 2], values: [3, 3, 3, 3] } }),
  })
  expect(await runBatch(await load(folder), [{ image: 'red' }])).toMatchObject([{ min: 3, max: 3 }])
})
