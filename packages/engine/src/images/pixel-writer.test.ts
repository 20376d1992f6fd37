import { expect, it } from 'vitest'

import { checkSize, createPixelWriter, pixelDims, type PixelLayout } from './pixel-writer.ts'
import { preprocessorConfigSchema, toPreprocessing, type Preprocessing } from '@vision-queue/models'

const rgb: PixelLayout = { layout: 'NCHW', channels: 'RGB', type: 'float32' }

function to(height: number, width: number, extras: object = {}): Preprocessing {
  const config = { size: { height, width }, do_normalize: false, do_rescale: false, ...extras }
  const preprocessing = toPreprocessing(preprocessorConfigSchema.parse(config))
  if (preprocessing === null) throw new Error('no size')
  return preprocessing
}

const twoPixels = { bytes: Uint8Array.from([255, 0, 51, 0, 255, 102]), height: 1, width: 2 }

function write(layout: PixelLayout, preprocessing = to(1, 2), image = twoPixels): number[] {
  const size = pixelDims(layout, preprocessing).reduce((a, b) => a * b)
  const target = { float32: new Float32Array(size), float16: new Uint16Array(size), uint8: new Uint8Array(size) }[
    layout.type
  ]
  createPixelWriter(preprocessing, layout)(target, 0, image)
  return [...target]
}

it('writes planes of red, green and blue into the place of the item, scaled', () => {
  const preprocessing = to(1, 2, {
    do_rescale: true,
    do_normalize: true,
    image_mean: [0.5, 0, 0],
    image_std: [0.5, 1, 2],
  })
  const target = new Float32Array(9).fill(7)
  createPixelWriter(preprocessing, rgb)(target, 2, twoPixels)
  const expected = [7, 7, 1, -1, 0, 1, 0.1, 0.2, 7]
  for (const [index, value] of expected.entries()) expect(target[index]).toBeCloseTo(value, 5)
})

it.each([
  [{ ...rgb, layout: 'NHWC' }, [255, 0, 51, 0, 255, 102], [1, 2, 3]],
  [{ ...rgb, channels: 'BGR' }, [51, 102, 0, 255, 255, 0], [3, 1, 2]],
  [{ ...rgb, layout: 'NHWC', channels: 'BGR', type: 'uint8' }, [51, 0, 255, 102, 255, 0], [1, 2, 3]],
  [{ ...rgb, type: 'float16' }, [0x5bf8, 0, 0, 0x5bf8, 0x5260, 0x5660], [3, 1, 2]],
  // PIL: Image.new('RGB', (1, 1), (255, 0, 51)).convert('L') is 82, (0, 255, 102) 161.
  [{ ...rgb, channels: 'L' }, [82, 161], [1, 1, 2]],
] satisfies [PixelLayout, number[], number[]][])('writes %j', (layout, expected, dims) => {
  expect(write(layout)).toEqual(expected)
  expect(pixelDims(layout, to(1, 2))).toEqual(dims)
})

it("takes mean and deviation in the order of the tensor's channels", () => {
  const preprocessing = to(1, 2, { do_normalize: true, image_mean: [1, 2, 3], image_std: [1, 1, 1] })
  expect(write({ ...rgb, channels: 'BGR' }, preprocessing)).toEqual([50, 101, -2, 253, 252, -3])
})

it('takes the centre of a larger image', () => {
  const preprocessing = to(3, 4, { do_center_crop: true, crop_size: { height: 1, width: 2 } })
  const bytes = Uint8Array.from({ length: 36 }, (_, index) => index)
  // Row 1, columns 1 and 2: pixels 5 and 6.
  expect(write(rgb, preprocessing, { bytes, height: 3, width: 4 })).toEqual([15, 18, 16, 19, 17, 20])
})

it('refuses an image of another size where the model does not resize', () => {
  const preprocessing = to(2, 2, { do_resize: false })
  expect(() => {
    checkSize(preprocessing, twoPixels)
  }).toThrow('This model takes images of 2 x 2 pixels only.')
})

it.each([
  [
    '0 after normalising, below and to the right',
    { do_pad: true, pad_size: { height: 2, width: 3 } },
    [
      [254, -1, 0],
      [0, 0, 0],
    ],
  ],
  [
    'black before it, around',
    { do_pad: true, do_thumbnail: true, size: { height: 3, width: 4 } },
    [
      [-1, -1, -1, -1],
      [-1, 254, -1, -1],
      [-1, -1, -1, -1],
    ],
  ],
])('lays an image on a ground: %s', (_, extras, red) => {
  const preprocessing = to(1, 2, { ...extras, do_normalize: true, image_mean: 1, image_std: 1 })
  expect(write(rgb, preprocessing).slice(0, red.flat().length)).toEqual(red.flat())
  const last = write({ ...rgb, layout: 'NHWC' }, preprocessing).filter((__, index) => index % 3 === 0)
  expect(last).toEqual(red.flat())
})
