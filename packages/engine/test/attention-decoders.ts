import {
  BOOL,
  constant,
  FLOAT,
  FLOAT16,
  innerGraph,
  INT32,
  INT64,
  int,
  ints,
  microsoftModel,
  microsoftNode,
  node,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'

/*
 * Decoders of two layers with real attention and made-up weights: what they answer depends on every token before, on
 * its position and on the mask, so that a padding on the wrong side, a stale key or a neighbour's value changes it.
 */

export const decoderVocabulary = 29
export const decoderWidth = 32
const [heads, size, layers, longest] = [2, 16, 2, 512]

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

/** Numbers that look like chance and are always the same. */
function noise(name: string, dims: number[], scale: number): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1)
  let state = [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0, 7)
  const values = Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
  return weight(name, dims, values)
}

/** Embeddings of ids as `embed_tokens` gives them: what a decoder with `embeds` is fed. */
export function embeddingOf(id: number): number[] {
  return Array.from({ length: decoderWidth }, (_, at) => Math.sin(1 + id * 12.9898 + at * 78.233) * 0.5)
}

const project = (from: string, into: string, dims: [number, number]): Uint8Array[] => [
  noise(`${into}_weight`, dims, 3.2 / Math.sqrt(dims[0])),
  node('MatMul', [from, `${into}_weight`], into),
]

const split = (from: string, into: string, count: number): Uint8Array[] => [
  constant(`${into}_shape`, [4], [0, 0, count, size]),
  node('Reshape', [from, `${into}_shape`], `${into}_split`),
  node('Transpose', [`${into}_split`], into, [ints('perm', [0, 2, 1, 3])]),
]

/** Softmax attention; `hidden`: of what is added to the scores, 0 or very little. */
const attend = (prefix: string, names: { q: string; k: string; v: string; hidden: string | null }): Uint8Array[] => [
  node('Transpose', [names.k], `${prefix}_kt`, [ints('perm', [0, 1, 3, 2])]),
  node('MatMul', [names.q, `${prefix}_kt`], `${prefix}_raw`),
  weight(`${prefix}_factor`, [1], [1 / Math.sqrt(size)]),
  node('Mul', [`${prefix}_raw`, `${prefix}_factor`], `${prefix}_scaled`),
  ...(names.hidden === null ? [] : [node('Add', [`${prefix}_scaled`, names.hidden], `${prefix}_masked`)]),
  node('Softmax', [names.hidden === null ? `${prefix}_scaled` : `${prefix}_masked`], `${prefix}_weights`, [
    int('axis', 3),
  ]),
  node('MatMul', [`${prefix}_weights`, names.v], `${prefix}_heads`),
  node('Transpose', [`${prefix}_heads`], `${prefix}_turned`, [ints('perm', [0, 2, 1, 3])]),
  constant(`${prefix}_flat`, [3], [0, 0, heads * size]),
  node('Reshape', [`${prefix}_turned`, `${prefix}_flat`], `${prefix}_out`),
]

/** `at_past`: the places of the new tokens; `own_hidden`: what each must not see, later ones and padding. */
const masks = (isMasked: boolean, firstCache = 'past_key_values.0.key'): Uint8Array[] => [
  constant('zero', [], [0]),
  constant('one', [], [1]),
  constant('two', [], [2]),
  constant('first_axis', [1], [0]),
  constant('second_axis', [1], [1]),
  constant('middle_axes', [2], [1, 2]),
  weight('lowest', [1], [-1e9]),
  weight('nothing', [1], [0]),
  node('Shape', [firstCache], 'past_shape'),
  node('Gather', ['past_shape', 'two'], 'past_length'),
  node('Shape', ['inputs_embeds'], 'hidden_shape'),
  node('Gather', ['hidden_shape', 'one'], 'new_length'),
  node('Add', ['past_length', 'new_length'], 'all_length'),
  node('Range', ['past_length', 'all_length', 'one'], 'at_past'),
  node('Range', ['zero', 'all_length', 'one'], 'columns'),
  node('Unsqueeze', ['at_past', 'second_axis'], 'row_places'),
  node('Unsqueeze', ['columns', 'first_axis'], 'column_places'),
  node('Greater', ['column_places', 'row_places'], 'later'),
  node('Where', ['later', 'lowest', 'nothing'], 'causal'),
  ...(isMasked
    ? [
        node('Cast', ['attention_mask'], 'seen', [int('to', BOOL)]),
        node('Where', ['seen', 'nothing', 'lowest'], 'padding'),
        node('Unsqueeze', ['padding', 'middle_axes'], 'padding_rows'),
        node('Add', ['causal', 'padding_rows'], 'own_hidden'),
      ]
    : [node('Identity', ['causal'], 'own_hidden')]),
]

const cacheType = (type: AttentionDecoderOptions['type']): number => (type === 'float16' ? FLOAT16 : FLOAT)

/** Joins new keys or values to those of the past, in the type of the cache. */
function joined(from: string, name: string, type: number): Uint8Array[] {
  return [
    node('Cast', [from], `${from}_stored`, [int('to', type)]),
    node('Concat', [`past_key_values.${name}`, `${from}_stored`], `present.${name}`, [int('axis', 2)]),
    node('Cast', [`present.${name}`], `${from}_all`, [int('to', FLOAT)]),
    ...cacheValues(name, type, heads),
  ]
}

function cacheValues(name: string, type: number, count: number): Uint8Array[] {
  return [
    value(11, `past_key_values.${name}`, type, ['batch', count, `past_of_${name}`, size]),
    value(12, `present.${name}`, type, ['batch', count, `total_of_${name}`, size]),
  ]
}

function plainLayer(layer: number, type: number, side = ''): Uint8Array[] {
  const of = (name: string): string => `${name}_${layer}`
  const hidden = side === '' ? `hidden_${layer}` : `hidden_${layer}_crossed`
  return [
    ...['q', 'k', 'v'].flatMap((name) => [
      ...project(hidden, of(`${name}_flat`), [decoderWidth, heads * size]),
      ...split(of(`${name}_flat`), of(name), heads),
    ]),
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
      ? [value(11, 'inputs_embeds', cacheType(type), ['batch', 'sequence', decoderWidth])]
      : [
          weight('embeddings', [decoderVocabulary, decoderWidth], vectors),
          node('Gather', ['embeddings', 'input_ids'], 'inputs_embeds'),
          value(11, 'input_ids', INT64, ['batch', 'sequence']),
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
    value(12, 'logits', cacheType(type), ['batch', 'kept_places', decoderVocabulary]),
  ]
}

/** A file of such a decoder, `decoder_model_merged`. */
export function attentionDecoder(options: AttentionDecoderOptions): Uint8Array {
  const { kind, axes = 1 } = options
  const type = cacheType(options.type)
  const layerNumbers = Array.from({ length: layers }, (_, layer) => layer)
  const own = [
    value(11, 'attention_mask', INT64, ['batch', 'total']),
    value(11, 'position_ids', INT64, axes === 3 ? [3, 'batch', 'sequence'] : ['batch', 'sequence']),
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
        ...layerNumbers.flatMap((layer) => [...crossLayer(layer, type), ...plainLayer(layer, type, '.decoder')]),
        ...ending(options),
        value(11, 'encoder_hidden_states', FLOAT, ['batch', 'seen_places', decoderWidth]),
        value(11, 'encoder_attention_mask', INT64, ['batch', 'seen_places']),
        value(11, 'use_cache_branch', BOOL, [1]),
      )
    default:
      return kind satisfies never
  }
}
