import {
  BOOL,
  constant,
  FLOAT,
  innerGraph,
  INT32,
  INT64,
  int,
  microsoftModel,
  microsoftNode,
  node,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'

import {
  attend,
  cacheType,
  cacheValues,
  decoderVocabulary,
  decoderWidth,
  heads,
  joined,
  layers,
  longest,
  masks,
  noise,
  project,
  size,
  split,
} from './attention-parts.ts'

/*
 * Decoders of two layers with real attention and made-up weights: what they answer depends on every token before, on
 * its position and on the mask, so that a padding on the wrong side, a stale key or a neighbour's value changes it.
 */

export interface AttentionDecoderOptions {
  /** `plain`: MatMul and Softmax with a mask; `grouped`: GroupQueryAttention, which pads on the right; `crossed`: without a mask for the past, and with an encoder's states. */
  kind: 'plain' | 'grouped' | 'crossed'
  /** Takes `inputs_embeds`; else `input_ids`. */
  embeds?: boolean
  /** Of keys and values, and of embeddings and logits. */
  type?: 'float32' | 'float16'
  /** Axes of `position_ids`. */
  axes?: 1 | 3
  /** Takes `num_logits_to_keep`. */
  keepsLogits?: boolean
}

/** Embeddings of ids as `embed_tokens` gives them: what a decoder with `embeds` is fed. */
export function embeddingOf(id: number): number[] {
  return Array.from({ length: decoderWidth }, (_, at) => Math.sin(1 + id * 12.9898 + at * 78.233) * 0.5)
}

function plainLayer(layer: number, type: number, side = ''): Uint8Array[] {
  const of = (name: string): string => `${name}_${layer}`
  const hidden = side === '' ? `hidden_${layer}` : `hidden_${layer}_crossed`
  return [
    ...['q', 'k', 'v'].flatMap((name) =>
      [
        project(hidden, of(`${name}_flat`), [decoderWidth, heads * size]),
        split(of(`${name}_flat`), of(name), heads),
      ].flat(),
    ),
    ...joined(of('k'), `${layer}${side}.key`, type),
    ...joined(of('v'), `${layer}${side}.value`, type),
    ...attend(of('own'), { q: of('q'), k: `${of('k')}_all`, v: `${of('v')}_all`, hidden: 'own_hidden' }),
    ...project(`${of('own')}_out`, of('own_added'), [heads * size, decoderWidth]),
    node('Add', [hidden, of('own_added')], `hidden_${layer + 1}`),
  ]
}

/** One head of keys and values for two of queries; rotary, which it counts from each row's length. */
function groupedLayer(layer: number, type: number): Uint8Array[] {
  const [hidden, of] = [`hidden_${layer}`, (name: string) => `${name}_${layer}`]
  const [key, val] = [`${layer}.key`, `${layer}.value`]
  return [
    ...project(hidden, of('q'), [decoderWidth, heads * size]),
    ...project(hidden, of('k'), [decoderWidth, size]),
    ...project(hidden, of('v'), [decoderWidth, size]),
    ...['q', 'k', 'v'].map((name) => node('Cast', [of(name)], of(`${name}_typed`), [int('to', type)])),
    microsoftNode(
      'GroupQueryAttention',
      [
        ...['q', 'k', 'v'].map((name) => of(`${name}_typed`)),
        `past_key_values.${key}`,
        `past_key_values.${val}`,
        'row_ends',
        'total_length',
        'cosines',
        'sines',
      ],
      [of('own_typed'), `present.${key}`, `present.${val}`],
      [int('num_heads', heads), int('kv_num_heads', 1), int('do_rotary', 1)],
    ),
    node('Cast', [of('own_typed')], of('own_out'), [int('to', FLOAT)]),
    ...project(of('own_out'), of('own_added'), [heads * size, decoderWidth]),
    node('Add', [hidden, of('own_added')], `hidden_${layer + 1}`),
    ...cacheValues(key, type, 1),
    ...cacheValues(val, type, 1),
  ]
}

/** As public exports count: the sum of the mask less one, and the width of the mask. */
function groupedLengths(type: number): Uint8Array[] {
  const angles = Array.from({ length: longest * (size / 2) }, (_, at) => {
    const [place, pair] = [Math.floor(at / (size / 2)), at % (size / 2)]
    return place / 10_000 ** ((2 * pair) / size)
  })
  const table = (name: string, of: (angle: number) => number): Uint8Array[] => [
    weight(`${name}_float`, [longest, size / 2], angles.map(of)),
    node('Cast', [`${name}_float`], name, [int('to', type)]),
  ]
  return [
    constant('one', [], [1]),
    constant('second_axis', [1], [1]),
    node('ReduceSum', ['attention_mask', 'second_axis'], 'row_lengths', [int('keepdims', 0)]),
    node('Sub', ['row_lengths', 'one'], 'row_ends_long'),
    node('Cast', ['row_ends_long'], 'row_ends', [int('to', INT32)]),
    node('Shape', ['attention_mask'], 'mask_shape'),
    node('Gather', ['mask_shape', 'one'], 'total_long'),
    node('Cast', ['total_long'], 'total_length', [int('to', INT32)]),
    ...table('cosines', Math.cos),
    ...table('sines', Math.sin),
  ]
}

/** Attention to an encoder's states: their keys and values are made in the first run, and taken from the cache later. */
function crossLayer(layer: number, type: number): Uint8Array[] {
  const of = (name: string): string => `${name}_${layer}`
  const side = (name: 'key' | 'value'): Uint8Array[] => {
    const cached = `${layer}.encoder.${name}`
    return [
      ...project('encoder_hidden_states', of(`cross_${name}_flat`), [decoderWidth, heads * size]),
      ...split(of(`cross_${name}_flat`), of(`cross_${name}_float`), heads),
      node('Cast', [of(`cross_${name}_float`)], of(`cross_${name}_made`), [int('to', type)]),
      node('If', ['use_cache_branch'], `present.${cached}`, [
        innerGraph(
          'then_branch',
          node('Identity', [`past_key_values.${cached}`], of(`${name}_then`)),
          value(12, of(`${name}_then`), type, ['b', heads, 't', size]),
        ),
        innerGraph(
          'else_branch',
          node('Identity', [of(`cross_${name}_made`)], of(`${name}_else`)),
          value(12, of(`${name}_else`), type, ['b', heads, 't', size]),
        ),
      ]),
      node('Cast', [`present.${cached}`], of(`cross_${name}`), [int('to', FLOAT)]),
      ...cacheValues(cached, type, heads),
    ]
  }
  return [
    ...project(`hidden_${layer}`, of('cross_q_flat'), [decoderWidth, heads * size]),
    ...split(of('cross_q_flat'), of('cross_q'), heads),
    ...side('key'),
    ...side('value'),
    ...attend(of('cross'), {
      q: of('cross_q'),
      k: of('cross_key'),
      v: of('cross_value'),
      hidden: 'cross_hidden',
    }),
    ...project(`${of('cross')}_out`, of('cross_added'), [heads * size, decoderWidth]),
    node('Add', [`hidden_${layer}`, of('cross_added')], `hidden_${layer}_crossed`),
  ]
}

/** Embeddings, and what stands for their positions. */
function beginning({ kind, embeds = true, type = 'float32', axes = 1 }: AttentionDecoderOptions): Uint8Array[] {
  const places = kind === 'crossed' ? 'at_past' : 'position_ids'
  const vectors = Array.from({ length: decoderVocabulary }, (_, id) => embeddingOf(id)).flat()
  return [
    ...(embeds
      ? [value(11, 'inputs_embeds', cacheType(type), ['batch_size', 'sequence', decoderWidth])]
      : [
          weight('embeddings', [decoderVocabulary, decoderWidth], vectors),
          node('Gather', ['embeddings', 'input_ids'], 'inputs_embeds'),
          value(11, 'input_ids', INT64, ['batch_size', 'sequence']),
        ]),
    node('Cast', ['inputs_embeds'], 'hidden_0_plain', [int('to', FLOAT)]),
    ...(kind === 'grouped'
      ? [node('Identity', ['hidden_0_plain'], 'hidden_0')]
      : [
          noise('place_table', [longest, decoderWidth], 0.7),
          node('Gather', ['place_table', places], axes === 3 ? 'places_by_axis' : 'places'),
          ...(axes === 3
            ? [
                weight('axis_weights', [3, 1, 1, 1], [1, 0.7, -0.6]),
                node('Mul', ['places_by_axis', 'axis_weights'], 'weighted_places'),
                constant('first_axis_alone', [1], [0]),
                node('ReduceSum', ['weighted_places', 'first_axis_alone'], 'places', [int('keepdims', 0)]),
              ]
            : []),
          node('Add', ['hidden_0_plain', 'places'], 'hidden_0'),
        ]),
  ]
}

function ending({ type = 'float32', keepsLogits = false }: AttentionDecoderOptions): Uint8Array[] {
  const last = `hidden_${layers}`
  return [
    ...(keepsLogits
      ? [
          constant('one_long', [1], [1]),
          constant('far', [1], [1_000_000]),
          constant('places_axis', [1], [1]),
          node('Neg', ['num_logits_to_keep'], 'from_end'),
          node('Reshape', ['from_end', 'one_long'], 'from_ends'),
          node('Slice', [last, 'from_ends', 'far', 'places_axis'], 'kept'),
          value(11, 'num_logits_to_keep', INT64, []),
        ]
      : [node('Identity', [last], 'kept')]),
    noise('head', [decoderWidth, decoderVocabulary], 1),
    node('MatMul', ['kept', 'head'], 'logits_float'),
    node('Cast', ['logits_float'], 'logits', [int('to', cacheType(type))]),
    value(12, 'logits', cacheType(type), ['batch_size', 'kept_places', decoderVocabulary]),
  ]
}

/** A file of such a decoder, `decoder_model_merged`. */
export function attentionDecoder(options: AttentionDecoderOptions): Uint8Array {
  const { kind, axes = 1 } = options
  const type = cacheType(options.type)
  const layerNumbers = Array.from({ length: layers }, (_, layer) => layer)
  const own = [
    value(11, 'attention_mask', INT64, ['batch_size', 'total']),
    value(11, 'position_ids', INT64, axes === 3 ? [3, 'batch_size', 'sequence'] : ['batch_size', 'sequence']),
  ]
  switch (kind) {
    case 'plain':
      return microsoftModel(
        ...beginning(options),
        ...masks(true),
        ...layerNumbers.flatMap((layer) => plainLayer(layer, type)),
        ...ending(options),
        ...own,
      )
    case 'grouped':
      return microsoftModel(
        ...beginning(options),
        ...groupedLengths(type),
        ...layerNumbers.flatMap((layer) => groupedLayer(layer, type)),
        ...ending(options),
        ...own.slice(0, 1),
      )
    case 'crossed':
      return microsoftModel(
        ...beginning(options),
        ...masks(false, 'past_key_values.0.decoder.key'),
        node('Cast', ['encoder_attention_mask'], 'cross_seen', [int('to', BOOL)]),
        node('Where', ['cross_seen', 'nothing', 'lowest'], 'cross_padding'),
        node('Unsqueeze', ['cross_padding', 'middle_axes'], 'cross_hidden'),
        ...layerNumbers.flatMap((layer) => [crossLayer(layer, type), plainLayer(layer, type, '.decoder')].flat()),
        ...ending(options),
        value(11, 'encoder_hidden_states', FLOAT, ['batch_size', 'seen_places', decoderWidth]),
        value(11, 'encoder_attention_mask', INT64, ['batch_size', 'seen_places']),
        value(11, 'use_cache_branch', BOOL, [1]),
      )
    default:
      return kind satisfies never
  }
}
