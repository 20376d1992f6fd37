import { BOOL, constant, FLOAT, FLOAT16, int, ints, node, value, weight } from '@vision-queue/models/test/onnx-writer'

export const decoderVocabulary = 29
export const decoderWidth = 32
export const [heads, size, layers, longest] = [2, 16, 2, 512]

/** Numbers that look like chance and are always the same. */
export function noise(name: string, dims: number[], scale: number): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1)
  let state = new TextEncoder().encode(name).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7)
  const values = Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
  return weight(name, dims, values)
}

export const project = (from: string, into: string, dims: [number, number]): Uint8Array[] => [
  noise(`${into}_weight`, dims, 3.2 / Math.sqrt(dims[0])),
  node('MatMul', [from, `${into}_weight`], into),
]

export const split = (from: string, into: string, count: number): Uint8Array[] => [
  constant(`${into}_shape`, [4], [0, 0, count, size]),
  node('Reshape', [from, `${into}_shape`], `${into}_split`),
  node('Transpose', [`${into}_split`], into, [ints('perm', [0, 2, 1, 3])]),
]

/** Softmax attention; `hidden`: of what is added to the scores, 0 or very little. */
export const attend = (
  prefix: string,
  names: { q: string; k: string; v: string; hidden: string | null },
): Uint8Array[] => [
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
export const masks = (isMasked: boolean, firstCache = 'past_key_values.0.key'): Uint8Array[] => [
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

export const cacheType = (type?: 'float32' | 'float16'): number => (type === 'float16' ? FLOAT16 : FLOAT)

/** Joins new keys or values to those of the past, in the type of the cache. */
export function joined(from: string, name: string, type: number): Uint8Array[] {
  return [
    node('Cast', [from], `${from}_stored`, [int('to', type)]),
    node('Concat', [`past_key_values.${name}`, `${from}_stored`], `present.${name}`, [int('axis', 2)]),
    node('Cast', [`present.${name}`], `${from}_all`, [int('to', FLOAT)]),
    ...cacheValues(name, type, heads),
  ]
}

export function cacheValues(name: string, type: number, count: number): Uint8Array[] {
  return [
    value(11, `past_key_values.${name}`, type, ['batch_size', count, `past_of_${name}`, size]),
    value(12, `present.${name}`, type, ['batch_size', count, `total_of_${name}`, size]),
  ]
}
