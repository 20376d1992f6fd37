import {
  constant,
  FLOAT,
  FLOAT16,
  INT64,
  int,
  ints,
  model,
  node,
  UINT8,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'
import { tinyWords } from '@vision-queue/models/test/tiny-model'

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
    node('DynamicQuantizeLinear', ['pixel_values'], ['quantized', 'scale', 'zero_point']),
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

/** Each word's own three numbers: no two texts mean the same to the graphs below. */
const numbers = tinyWords.flatMap((_, word) => [0, 1, 2].map((place) => Math.sin(1 + 3 * word + place)))

/** A text to ``[N, 3]``, `pooled`: the mean of its words, or its last one, whatever that is; with a mask that hides, or hides nothing. */
function poolingNodes(pool: 'mean' | 'last', mask: 'none' | 'ignored' | 'used'): Uint8Array[] {
  const words = [
    weight('numbers', [tinyWords.length, 3], numbers),
    node('Gather', ['numbers', 'input_ids'], 'words'),
    ...(mask === 'none' ? [] : [value(11, 'attention_mask', INT64, ['texts', 'sequence_length'])]),
    value(11, 'input_ids', INT64, ['texts', 'sequence_length']),
  ]
  if (pool === 'last') {
    return [...words, constant('last', [], [-1]), node('Gather', ['words', 'last'], 'pooled', [int('axis', 1)])]
  }
  if (mask !== 'used') {
    return [...words, node('ReduceMean', ['words'], 'pooled', [ints('axes', [1]), int('keepdims', 0)])]
  }
  return [
    ...words,
    constant('axis_1', [1], [1]),
    constant('axis_2', [1], [2]),
    node('Cast', ['attention_mask'], 'seen', [int('to', FLOAT)]),
    node('Unsqueeze', ['seen', 'axis_2'], 'seen_words'),
    node('Mul', ['words', 'seen_words'], 'kept'),
    node('ReduceSum', ['kept', 'axis_1'], 'sum', [int('keepdims', 0)]),
    node('ReduceSum', ['seen', 'axis_1'], 'count', [int('keepdims', 1)]),
    node('Div', ['sum', 'count'], 'pooled'),
  ]
}

/** An image and a text to `logits` ``[N, 3]``: its colours plus its words, times eight. */
export function questionGraph(pool: 'mean' | 'last', mask: 'none' | 'ignored' | 'used'): Uint8Array {
  return model(
    ...poolingNodes(pool, mask),
    node('ReduceMean', ['pixel_values'], 'colours', [ints('axes', [2, 3]), int('keepdims', 0)]),
    node('Add', ['colours', 'pooled'], 'both'),
    weight('factor', [1], [8]),
    node('Mul', ['both', 'factor'], 'logits'),
    value(11, 'pixel_values', FLOAT, ['texts', 3, 4, 4]),
    value(12, 'logits', FLOAT, ['texts', 3]),
  )
}

/** A text tower of those nodes. */
export function poolingTower(
  pool: 'mean' | 'last',
  mask: 'none' | 'ignored' | 'used',
  output = 'text_embeds',
): Uint8Array {
  return model(
    ...poolingNodes(pool, mask),
    node('Identity', ['pooled'], output),
    value(12, output, FLOAT, ['texts', 3]),
  )
}

/** A joint graph as Hugging Face exports it: cosines times `scale` plus `bias`, and both embeddings. */
export function cosineGraph({
  pool,
  mask,
  scale,
  bias = 0,
}: {
  pool: 'mean' | 'last'
  mask: 'none' | 'ignored' | 'used'
  scale: number
  bias?: number
}): Uint8Array {
  const toLengthOne = (from: string, to: string): Uint8Array[] => [
    node('ReduceL2', [from], `${from}_length`, [ints('axes', [1]), int('keepdims', 1)]),
    node('Div', [from, `${from}_length`], to),
  ]
  return model(
    ...poolingNodes(pool, mask),
    node('ReduceMean', ['pixel_values'], 'colours', [ints('axes', [2, 3]), int('keepdims', 0)]),
    ...toLengthOne('colours', 'image_embeds'),
    ...toLengthOne('pooled', 'text_embeds'),
    node('Transpose', ['text_embeds'], 'turned', [ints('perm', [1, 0])]),
    node('MatMul', ['image_embeds', 'turned'], 'cosines'),
    weight('scale', [1], [scale]),
    weight('bias', [1], [bias]),
    node('Mul', ['cosines', 'scale'], 'scaled'),
    node('Add', ['scaled', 'bias'], 'logits_per_image'),
    value(11, 'pixel_values', FLOAT, ['images', 3, 4, 4]),
    value(12, 'logits_per_image', FLOAT, ['images', 'texts']),
    value(12, 'text_embeds', FLOAT, ['texts', 3]),
    value(12, 'image_embeds', FLOAT, ['images', 3]),
  )
}

/**
 * An image's colours, computed from those of its batch too: `mean`, less the mean of all; `range`, rounded to
 * 8 bits of the range of all, as exports with dynamic quantisation do.
 */
export function mixingGraph(how: 'mean' | 'range'): Uint8Array {
  const mixed =
    how === 'mean'
      ? [
          node('ReduceMean', ['colours'], 'of_all', [ints('axes', [0]), int('keepdims', 1)]),
          node('Sub', ['colours', 'of_all'], 'mixed'),
        ]
      : [
          node('DynamicQuantizeLinear', ['colours'], ['rounded', 'step', 'zero']),
          node('DequantizeLinear', ['rounded', 'step', 'zero'], 'mixed'),
        ]
  return model(
    node('ReduceMean', ['pixel_values'], 'colours', [ints('axes', [2, 3]), int('keepdims', 0)]),
    ...mixed,
    weight('factor', [1], [4]),
    node('Mul', ['mixed', 'factor'], 'logits'),
    value(11, 'pixel_values', FLOAT, ['batch_size', 3, 4, 4]),
    value(12, 'logits', FLOAT, ['batch_size', 3]),
  )
}

/**
 * OWL-ViT's form: `logits` ``[images, 2, texts]`` are how much an image has of the colours that a text names, a little
 * less at the second place, and `pred_boxes` its left upper and right lower quarter.
 */
export function owlGraph(size: number | null = 4): Uint8Array {
  return model(
    ...textNodes,
    node('ReduceMean', ['pixel_values'], 'image_embeds', [ints('axes', [2, 3]), int('keepdims', 0)]),
    node('Transpose', ['text_embeds'], 'turned', [ints('perm', [1, 0])]),
    node('MatMul', ['image_embeds', 'turned'], 'likeness'),
    constant('places', [1], [1]),
    node('Unsqueeze', ['likeness', 'places'], 'here'),
    weight('factors', [1, 2, 1], [9, 5]),
    node('Mul', ['here', 'factors'], 'logits'),
    weight('boxes', [1, 2, 4], [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5]),
    node('Identity', ['boxes'], 'pred_boxes'),
    value(11, 'pixel_values', FLOAT, ['images', 3, size ?? 'height', size ?? 'width']),
    textInput('texts'),
    value(12, 'logits', FLOAT, ['images', 2, 'texts']),
    value(12, 'pred_boxes', FLOAT, [1, 2, 4]),
  )
}

/**
 * Grounding DINO's form: one text of all labels. `logits` ``[images, 2, 256]`` are how much an image has of the colour that
 * each token names, a little less at the second place, and next to nothing beyond the text; boxes as owlGraph's. With
 * `length` the text is of that many tokens.
 */
export function groundingGraph(size: number | null = 4, length: number | null = null): Uint8Array {
  const tokens = length ?? 'sequence_length'
  const edges = [size ?? 'height', size ?? 'width']
  return model(
    weight('meanings', [tinyWords.length, 3], meanings),
    node('Gather', ['meanings', 'input_ids'], 'words'),
    node('ReduceMean', ['pixel_values'], 'colours', [ints('axes', [2, 3]), int('keepdims', 0)]),
    constant('last', [1], [2]),
    node('Unsqueeze', ['colours', 'last'], 'column'),
    node('MatMul', ['words', 'column'], 'likeness'),
    node('Transpose', ['likeness'], 'here', [ints('perm', [0, 2, 1])]),
    weight('factors', [1, 2, 1], [9, 5]),
    node('Mul', ['here', 'factors'], 'scored'),
    weight('less', [1], [-4]),
    node('Add', ['scored', 'less'], 'of_text'),
    node('Shape', ['input_ids'], 'shape'),
    constant('second', [1], [1]),
    node('Gather', ['shape', 'second'], 'there'),
    constant('most', [1], [256]),
    node('Sub', ['most', 'there'], 'missing'),
    constant('none', [5], [0, 0, 0, 0, 0]),
    node('Concat', ['none', 'missing'], 'padding', [int('axis', 0)]),
    weight('nothing', [], [-Infinity]),
    node('Pad', ['of_text', 'padding', 'nothing'], 'logits'),
    weight('boxes', [1, 2, 4], [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5]),
    node('Identity', ['boxes'], 'pred_boxes'),
    value(11, 'pixel_values', FLOAT, ['images', 3, ...edges]),
    value(11, 'pixel_mask', INT64, ['images', ...edges]),
    ...['input_ids', 'token_type_ids', 'attention_mask'].map((name) => value(11, name, INT64, ['images', tokens])),
    value(12, 'logits', FLOAT, ['images', 2, 256]),
    value(12, 'pred_boxes', FLOAT, [1, 2, 4]),
  )
}
