import {
  BOOL,
  constant,
  FLOAT,
  INT64,
  int,
  ints,
  model,
  node,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'

import { embeddingOf } from './attention-decoders.ts'
import { decoderVocabulary, decoderWidth } from './attention-parts.ts'

/*
 * What stands before the decoder of a language model that sees: encoders of images in each of the three forms that public
 * exports have, and of words. Weights are made up; features depend on the pixels and on where they are.
 */

/** The edge of an image, or a tile, in pixels. */
export const edge = 16
/** Features of it. */
export const pieceTokens = 4

/** Weights that look like chance and are always the same. */
function wave(name: string, ...dims: number[]): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1)
  return weight(
    name,
    dims,
    Array.from({ length: count }, (_, index) => Math.sin(1 + index * 12.9898 + (index % 7) * 78.233)),
  )
}

/** `pixels` ``[pieces, 3, 16, 16]`` to `image_features` ``[pieces, 4, 32]``: the mean colours of its quarters, and a place. */
const quarters: Uint8Array[] = [
  node('AveragePool', ['pixels'], 'pooled', [
    ints('kernel_shape', [edge / 2, edge / 2]),
    ints('strides', [edge / 2, edge / 2]),
  ]),
  constant('flat', [3], [-1, 3, pieceTokens]),
  node('Reshape', ['pooled', 'flat'], 'colours'),
  node('Transpose', ['colours'], 'turned', [ints('perm', [0, 2, 1])]),
  wave('colour_weight', 3, decoderWidth),
  node('MatMul', ['turned', 'colour_weight'], 'seen'),
  wave('place', 1, pieceTokens, decoderWidth),
  node('Add', ['seen', 'place'], 'image_features'),
  value(12, 'image_features', FLOAT, ['pieces', 'tokens', decoderWidth]),
]

export function rowsEncoder(): Uint8Array {
  return model(
    node('Identity', ['pixel_values'], 'pixels'),
    ...quarters,
    value(11, 'pixel_values', FLOAT, ['batch_size', 3, edge, edge]),
  )
}

/** Takes the tiles of a conversation; what the mask hides counts as black. */
export function tilesEncoder(): Uint8Array {
  return model(
    constant('tiles', [4], [-1, 3, edge, edge]),
    constant('mask_tiles', [4], [-1, 1, edge, edge]),
    node('Reshape', ['pixel_values', 'tiles'], 'all_pixels'),
    node('Cast', ['pixel_attention_mask'], 'mask', [int('to', FLOAT)]),
    node('Reshape', ['mask', 'mask_tiles'], 'masks'),
    node('Mul', ['all_pixels', 'masks'], 'pixels'),
    ...quarters,
    value(11, 'pixel_values', FLOAT, ['batch_size', 'num_images', 3, edge, edge]),
    value(11, 'pixel_attention_mask', BOOL, ['batch_size', 'num_images', edge, edge]),
  )
}

/** Patches of all images one after the other; four of them make a feature. */
export function patchesEncoder(gridName: 'grid_thw' | 'image_grid_thw'): Uint8Array {
  const size = 3 * 2 * 4 * 4
  return model(
    wave('patch_weight', size, decoderWidth),
    node('MatMul', ['pixel_values', 'patch_weight'], 'patches'),
    constant('groups', [3], [-1, 4, decoderWidth]),
    node('Reshape', ['patches', 'groups'], 'grouped'),
    node('ReduceMean', ['grouped'], 'image_features', [ints('axes', [1]), int('keepdims', 0)]),
    value(11, 'pixel_values', FLOAT, ['patches', size]),
    value(11, gridName, INT64, ['images', 3]),
    value(12, 'image_features', FLOAT, ['tokens', decoderWidth]),
  )
}

export function embedGraph(): Uint8Array {
  const vectors = Array.from({ length: decoderVocabulary }, (_, id) => embeddingOf(id)).flat()
  return model(
    weight('embeddings', [decoderVocabulary, decoderWidth], vectors),
    node('Gather', ['embeddings', 'input_ids'], 'inputs_embeds'),
    value(11, 'input_ids', INT64, ['batch_size', 'sequence_length']),
    value(12, 'inputs_embeds', FLOAT, ['batch_size', 'sequence_length', decoderWidth]),
  )
}

/** Florence-2's encoder: each state is made of its own embedding and of the mean of all. */
export function textEncoder(): Uint8Array {
  return model(
    wave('own_weight', decoderWidth, decoderWidth),
    node('MatMul', ['inputs_embeds', 'own_weight'], 'own'),
    node('ReduceMean', ['inputs_embeds'], 'mean', [ints('axes', [1]), int('keepdims', 1)]),
    node('Add', ['own', 'mean'], 'both'),
    node('Tanh', ['both'], 'last_hidden_state'),
    value(11, 'inputs_embeds', FLOAT, ['batch_size', 'encoder_sequence_length', decoderWidth]),
    value(11, 'attention_mask', INT64, ['batch_size', 'encoder_sequence_length']),
    value(12, 'last_hidden_state', FLOAT, ['batch_size', 'encoder_sequence_length', decoderWidth]),
  )
}
