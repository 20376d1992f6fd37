import { FLOAT, FLOAT16, INT64, int, ints, model, node, nodeOf, UINT8, value, weight } from './onnx-writer.ts'
import { tinyWords } from './tiny-model.ts'

export interface ColourGraphOptions {
  input?: string
  output?: string
  type?: 'float32' | 'float16' | 'uint8'
  layout?: 'NCHW' | 'NHWC'
  channels?: number
  batch?: number
  size?: number
  /** What the graph ends in, after the means were multiplied by `factor`. */
  end?: 'Softmax' | 'Sigmoid'
  factor?: number
  /** Keeps the factor in a file beside the graph. */
  weightFile?: string
  /** Takes `input_ids` and `attention_mask` too, and makes nothing of them. */
  withText?: boolean
}

const types = { float32: FLOAT, float16: FLOAT16, uint8: UINT8 }

/** A graph of an image to the mean of each of its channels, ``[N, channels]``, or ``[N, channels, 1, 1]`` for NCHW. */
export function colourGraph({
  input = 'pixel_values',
  output = 'logits',
  type = 'float32',
  layout = 'NCHW',
  channels = 3,
  batch,
  size = 4,
  end,
  factor = 1,
  weightFile,
  withText = false,
}: ColourGraphOptions = {}): Uint8Array {
  const first = batch ?? 'batch_size'
  const planar = layout === 'NCHW'
  const result = end === undefined ? 'scaled' : 'ended'
  return model(
    node('Cast', [input], 'pixels', [int('to', FLOAT)]),
    node('ReduceMean', ['pixels'], 'means', [ints('axes', planar ? [2, 3] : [1, 2]), int('keepdims', planar ? 1 : 0)]),
    node('Mul', ['means', 'factor'], 'scaled'),
    ...(end === undefined ? [] : [node(end, ['scaled'], 'ended', end === 'Softmax' ? [int('axis', 1)] : [])]),
    node('Cast', [result], output, [int('to', type === 'float16' ? FLOAT16 : FLOAT)]),
    weight('factor', [1], [factor], weightFile),
    value(11, input, types[type], [first, ...(planar ? [channels, size, size] : [size, size, channels])]),
    ...(withText
      ? ['input_ids', 'attention_mask'].map((name) => value(11, name, INT64, [first, 'sequence_length']))
      : []),
    value(12, output, type === 'float16' ? FLOAT16 : FLOAT, [first, channels, ...(planar ? [1, 1] : [])]),
  )
}

/** The same means of pixels that are rounded to 8 bits by the range of the whole batch. */
export function dynamicGraph(): Uint8Array {
  return model(
    nodeOf('DynamicQuantizeLinear', ['pixel_values'], ['quantized', 'scale', 'zero_point']),
    node('DequantizeLinear', ['quantized', 'scale', 'zero_point'], 'pixels'),
    node('ReduceMean', ['pixels'], 'logits', [ints('axes', [2, 3]), int('keepdims', 0)]),
    value(11, 'pixel_values', FLOAT, ['batch_size', 3, 4, 4]),
    value(12, 'logits', FLOAT, ['batch_size', 3]),
  )
}

/** The words a, b and c mean red, green and blue; others nothing. */
const meanings = tinyWords.flatMap((word) => ['a', 'b', 'c'].map((letter) => (letter === word ? 1 : 0)))
const textNodes = [
  weight('meanings', [tinyWords.length, 3], meanings),
  node('Gather', ['meanings', 'input_ids'], 'words'),
  node('ReduceMax', ['words'], 'text_embeds', [ints('axes', [1]), int('keepdims', 0)]),
]
const textInput = (batch: number | string) => value(11, 'input_ids', INT64, [batch, 'sequence_length'])

/** A text to `text_embeds` ``[N, 3]``, where `colourGraph` gives an image's colours. */
export function textTower({ batch }: { batch?: number } = {}): Uint8Array {
  const first = batch ?? 'batch_size'
  return model(...textNodes, textInput(first), value(12, 'text_embeds', FLOAT, [first, 3]))
}

/** Both in one graph, with `logits_per_image`. */
export function jointGraph(): Uint8Array {
  return model(
    ...textNodes,
    node('ReduceMean', ['pixel_values'], 'image_embeds', [ints('axes', [2, 3]), int('keepdims', 0)]),
    node('Transpose', ['text_embeds'], 'turned', [ints('perm', [1, 0])]),
    node('MatMul', ['image_embeds', 'turned'], 'logits_per_image'),
    value(11, 'pixel_values', FLOAT, ['images', 3, 4, 4]),
    textInput('texts'),
    value(12, 'logits_per_image', FLOAT, ['images', 'texts']),
    value(12, 'text_embeds', FLOAT, ['texts', 3]),
  )
}
