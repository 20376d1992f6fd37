import { FLOAT, INT64, int, ints, model, node, value, weight, constant } from '@vision-queue/models/test/onnx-writer'

export interface FixedOutput {
  /** Without the batch dimension. */
  dims: number[]
  /** What comes out for a black image. */
  values: number[]
  /** What is added for a white one; grey ones get a part of it. Default: nothing. */
  whiter?: number[]
}

/** A graph of images of 8 x 8, or of any size (null), whose outputs are given, and change with the image's brightness. `mask`: an input that it makes nothing of. */
export function fixedOutputs(outputs: Record<string, FixedOutput>, size: number | null = 8, mask?: string): Uint8Array {
  const edges = size === null ? ['height', 'width'] : [size, size]
  const parts = Object.entries(outputs).flatMap(([name, { dims, values, whiter = values.map(() => 0) }]) => {
    const shape = [-1, ...dims.map(() => 1)]
    return [
      constant(`${name}_shape`, [shape.length], shape),
      weight(`${name}_values`, [1, ...dims], values),
      weight(`${name}_whiter`, [1, ...dims], whiter),
      node('Reshape', ['brightness', `${name}_shape`], `${name}_brightness`),
      node('Mul', [`${name}_brightness`, `${name}_whiter`], `${name}_change`),
      node('Add', [`${name}_values`, `${name}_change`], name),
      value(12, name, FLOAT, ['batch_size', ...dims]),
    ]
  })
  return model(
    node('ReduceMean', ['pixel_values'], 'brightness', [ints('axes', [1, 2, 3]), int('keepdims', 0)]),
    ...parts,
    value(11, 'pixel_values', FLOAT, ['batch_size', 3, ...edges]),
    ...(mask === undefined ? [] : [value(11, mask, INT64, ['batch_size', ...edges])]),
  )
}
