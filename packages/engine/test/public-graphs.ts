import {
  BOOL,
  constant,
  FLOAT,
  FLOAT16,
  INT64,
  int,
  ints,
  model,
  node,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'
import { tinyWords } from '@vision-queue/models/test/tiny-model'

/*
 * Graphs with the names, types and dimensions of inputs and outputs that public exports have, and next to nothing in
 * them: weights are waves, and an image counts by the means of its channels.
 */

const batch = 'batch_size'
const images = (type = FLOAT, channels: number | string = 'num_channels') =>
  value(11, 'pixel_values', type, [batch, channels, 'height', 'width'])
const ids = (first = batch) => value(11, 'input_ids', INT64, [first, 'sequence_length'])
const mask = (first = batch) => value(11, 'attention_mask', INT64, [first, 'sequence_length'])

function wave(name: string, ...dims: number[]): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1)
  return weight(
    name,
    dims,
    Array.from({ length: count }, (_, index) => Math.sin(1 + index * 1.7)),
  )
}

/** The means of an image's channels by a matrix: ``[N, width]``. */
function pooled(width: number, into: string, type = FLOAT): Uint8Array[] {
  return [
    node('Cast', ['pixel_values'], 'pixels', [int('to', FLOAT)]),
    node('ReduceMean', ['pixels'], 'means', [ints('axes', [2, 3]), int('keepdims', 0)]),
    wave(`${into}_weight`, 3, width),
    node('MatMul', ['means', `${into}_weight`], type === FLOAT ? into : `${into}_float`),
    ...(type === FLOAT ? [] : [node('Cast', [`${into}_float`], into, [int('to', type)])]),
  ]
}

/** `pixel_values` to `logits` ``[N, labels]``. */
export function classifier(labels: number, type = FLOAT): Uint8Array {
  return model(...pooled(labels, 'logits', type), images(type), value(12, 'logits', type, [batch, labels]))
}

/** `pixel_values` to one vector a token, under any name. */
export function tokensOf(output: string, width: number, pixels = images()): Uint8Array {
  return model(
    ...pooled(width, 'vector'),
    constant('axis', [1], [1]),
    node('Unsqueeze', ['vector', 'axis'], output),
    pixels,
    value(12, output, FLOAT, [batch, 'tokens', width]),
  )
}

/** A graph of these outputs by their numbers of dimensions, of which nothing is run. */
export function named(inputs: string[], outputs: Record<string, number>): Uint8Array {
  const types: Record<string, number> = { input_ids: INT64, attention_mask: INT64, pixel_attention_mask: BOOL }
  return model(
    ...Object.keys(outputs).map((output) => node('Identity', [inputs[0] ?? ''], output)),
    ...inputs.map((input) => value(11, input, types[input] ?? FLOAT, [batch, 'c', 'height', 'width'])),
    ...Object.entries(outputs).map(([output, rank]) =>
      value(12, output, FLOAT, [batch, ...Array.from({ length: rank - 1 }, (_, index) => `d${index}`)]),
    ),
  )
}

const words = (pool: 'mean' | 'last'): Uint8Array[] => [
  wave('embeddings', tinyWords.length, 8),
  node('Gather', ['embeddings', 'input_ids'], 'words'),
  ...(pool === 'mean'
    ? [node('ReduceMean', ['words'], 'text', [ints('axes', [1]), int('keepdims', 0)])]
    : [constant('last', [], [-1]), node('Gather', ['words', 'last'], 'text', [int('axis', 1)])]),
]

/** CLIP's and SigLIP's three files; those of SigLIP have no mask, a bias, and read the last token. */
export function clip(kind: 'clip' | 'siglip'): Record<'model' | 'text_model' | 'vision_model', Uint8Array> {
  const isClip = kind === 'clip'
  const unit = (from: string, into: string): Uint8Array[] => [
    node('ReduceL2', [from], `${from}_length`, [ints('axes', [1]), int('keepdims', 1)]),
    node('Div', [from, `${from}_length`], into),
  ]
  const textNodes = words(isClip ? 'mean' : 'last')
  const [imageOutput, textOutput] = isClip ? ['image_embeds', 'text_embeds'] : ['pooler_output', 'pooler_output']
  const text = 'text_batch_size'
  return {
    model: model(
      ...pooled(8, 'image'),
      ...textNodes,
      ...unit('image', 'image_embeds'),
      ...unit('text', 'text_embeds'),
      node('Transpose', ['text_embeds'], 'turned', [ints('perm', [1, 0])]),
      node('MatMul', ['image_embeds', 'turned'], 'cosines'),
      weight('scale', [1], [isClip ? 100 : 117]),
      weight('bias', [1], [isClip ? 0 : -12.9]),
      node('Mul', ['cosines', 'scale'], 'scaled'),
      node('Add', ['scaled', 'bias'], 'logits_per_image'),
      ids(text),
      images(),
      ...(isClip ? [mask(text)] : []),
      value(12, 'logits_per_image', FLOAT, ['image_batch_size', text]),
      value(12, 'text_embeds', FLOAT, [text, 8]),
      value(12, 'image_embeds', FLOAT, ['image_batch_size', 8]),
    ),
    vision_model: model(
      ...pooled(8, 'image'),
      node('Identity', ['image'], imageOutput),
      images(),
      value(12, imageOutput, FLOAT, [batch, 8]),
    ),
    text_model: model(
      ...textNodes,
      node('Identity', ['text'], textOutput),
      ids(),
      ...(isClip ? [mask()] : []),
      value(12, textOutput, FLOAT, [batch, 8]),
    ),
  }
}

/** ViLT's: an image, a text, and which pixels count. */
export function vilt(answers: number): Uint8Array {
  return model(
    ...pooled(answers, 'logits'),
    ids(),
    mask(),
    value(11, 'token_type_ids', INT64, [batch, 'sequence_length']),
    images(),
    value(11, 'pixel_mask', INT64, [batch, 'height', 'width']),
    value(12, 'logits', FLOAT, [batch, answers]),
  )
}

/** DETR's and its kin's. */
export function detector(classes: number): Uint8Array {
  const queries = 4
  const head = (name: string, width: number): Uint8Array[] => [
    ...(name === 'logits' ? pooled(queries * width, 'flat_logits') : []),
    wave(`${name}_weight`, 3, queries * width),
    node('MatMul', ['means', `${name}_weight`], `${name}_flat`),
    constant(`${name}_shape`, [3], [0, queries, width]),
    node('Reshape', [`${name}_flat`, `${name}_shape`], name),
    value(12, name, FLOAT, [batch, 'num_queries', width]),
  ]
  return model(...head('logits', classes), ...head('pred_boxes', 4), images())
}

export interface DecoderOptions {
  /** Whether keys and values are named by where they come from, as in TrOCR's exports. */
  sides?: boolean
  /** Of keys and values. */
  type?: number
  /** Takes `inputs_embeds`, as the parts of language models that see do. */
  embeds?: boolean
}

/** A decoder of two layers, ``decoder_model_merged``. */
export function decoder({ sides = false, type = FLOAT, embeds = false }: DecoderOptions = {}): Uint8Array {
  const [heads, size, width] = [2, 4, 8]
  const past = [batch, heads, 'past_sequence_length', size]
  const states = [0, 1].flatMap((layer) => ['key', 'value'].map((side) => ({ layer, side })))
  const own = states.flatMap(({ layer, side }) => {
    const name = `${layer}${sides ? '.decoder' : ''}.${side}`
    return [
      node('Concat', [`past_key_values.${name}`, 'kv'], `present.${name}`, [int('axis', 2)]),
      value(11, `past_key_values.${name}`, type, past),
      value(12, `present.${name}`, type, [batch, heads, 'total_sequence_length', size]),
    ]
  })
  const cross = states.flatMap(({ layer, side }) => {
    const name = `${layer}.encoder.${side}`
    const dims = [batch, heads, 'encoder_sequence_length_out', size]
    return [
      node('Identity', ['cross_kv'], `present.${name}`),
      value(11, `past_key_values.${name}`, type, dims),
      value(12, `present.${name}`, type, dims),
    ]
  })
  const split = (from: string, into: string): Uint8Array[] => [
    node('Reshape', [from, 'split'], `${into}_split`),
    node('Transpose', [`${into}_split`], `${into}_float`, [ints('perm', [0, 2, 1, 3])]),
    node('Cast', [`${into}_float`], into, [int('to', type)]),
  ]
  return model(
    ...(embeds
      ? [value(11, 'inputs_embeds', FLOAT, [batch, 'sequence_length', width])]
      : [
          wave('embeddings', tinyWords.length, width),
          node('Gather', ['embeddings', 'input_ids'], 'inputs_embeds'),
          ids(),
        ]),
    node('ReduceMean', ['encoder_hidden_states'], 'seen', [ints('axes', [1]), int('keepdims', 1)]),
    node('Add', ['inputs_embeds', 'seen'], 'hidden'),
    wave('head', width, tinyWords.length),
    node('MatMul', ['hidden', 'head'], 'logits'),
    constant('split', [4], [0, 0, heads, size]),
    ...split('hidden', 'kv'),
    ...own,
    ...(sides ? [...split('encoder_hidden_states', 'cross_kv'), ...cross] : []),
    value(11, 'encoder_hidden_states', FLOAT, [batch, 'encoder_sequence_length', width]),
    value(11, 'use_cache_branch', BOOL, [1]),
    value(12, 'logits', FLOAT, [batch, 'sequence_length', tinyWords.length]),
  )
}

/** Half floats as keys and values, as in `_fp16` and `_q4f16` exports. */
export const halves = FLOAT16
