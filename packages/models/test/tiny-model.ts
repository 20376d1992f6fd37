import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { bytes, FLOAT, floats, INT64, int, integer, ints, message, node, text, value } from './onnx-writer.ts'

/**
 * A model folder for tests, made in a moment: its graph is written here byte by byte, in the protobuf
 * form of ONNX. It answers with the colour channel that is strongest in the image, or with `word`
 * where the text has the word `large`. Padding that isn't masked gives `word` too: its id is higher yet.
 *
 *   logits = concat(mean of each channel, max(input_ids * attention_mask) - 12)
 */
export const tinyLabels = ['red', 'green', 'blue', 'word']
export const tinyWords = [
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'what',
  'is',
  'it',
  '?',
  'small',
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'large',
  '[PAD]',
]

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Every file of the folder; `files` replaces some, null leaves one out. `graph`: the model's, or several by their names. */
export async function writeTinyModel(
  folder: string,
  files: Record<string, Json> = {},
  graph: Uint8Array | Record<string, Uint8Array> = tinyGraph(),
): Promise<void> {
  const all: Record<string, Json> = {
    'model.json': { task: 'visual-question-answering', max_batch_size: 8 },
    'config.json': { id2label: Object.fromEntries(tinyLabels.map((label, index) => [String(index), label])) },
    'preprocessor_config.json': tinyPreprocessor,
    'tokenizer.json': tinyTokenizer,
    'tokenizer_config.json': { model_max_length: 16, pad_token: '[PAD]', tokenizer_class: 'PreTrainedTokenizerFast' },
    ...files,
  }
  await mkdir(join(folder, 'onnx'), { recursive: true })
  const graphs = graph instanceof Uint8Array ? { model: graph } : graph
  for (const [name, content] of Object.entries(graphs)) await writeFile(join(folder, 'onnx', `${name}.onnx`), content)
  for (const [file, content] of Object.entries(all)) {
    if (content !== null) await writeFile(join(folder, file), JSON.stringify(content))
  }
}

export const tinyPreprocessor: Record<string, Json> = {
  image_processor_type: 'ViTImageProcessor',
  do_resize: true,
  size: { height: 16, width: 16 },
  resample: 2,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
}

export const tinyTokenizer: Record<string, Json> = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: ['[UNK]', '[CLS]', '[SEP]', '[PAD]'].map((content) => ({
    id: tinyWords.indexOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [2], tokens: ['[SEP]'] },
    },
  },
  decoder: null,
  model: { type: 'WordLevel', unk_token: '[UNK]', vocab: Object.fromEntries(tinyWords.map((word, id) => [word, id])) },
}

/** The graph; `batch` fixes its first dimension, `size` its images' edge. */
export function tinyGraph({ batch, size = 16 }: { batch?: number; size?: number } = {}): Uint8Array {
  const first = batch ?? 'batch_size'
  const graph = message(
    node('ReduceMean', ['pixel_values'], 'means', [ints('axes', [2, 3]), int('keepdims', 0)]),
    node('Mul', ['input_ids', 'attention_mask'], 'masked'),
    node('ReduceMax', ['masked'], 'largest', [ints('axes', [1]), int('keepdims', 1)]),
    node('Cast', ['largest'], 'as_float', [int('to', FLOAT)]),
    node('Sub', ['as_float', 'twelve'], 'word'),
    node('Concat', ['means', 'word'], 'logits', [int('axis', 1)]),
    text(2, 'tiny'),
    bytes(5, message(integer(1, 1), integer(2, FLOAT), bytes(4, floats([12])), text(8, 'twelve'))),
    value(11, 'pixel_values', FLOAT, [first, 3, size, size]),
    value(11, 'input_ids', INT64, [first, 'sequence_length']),
    value(11, 'attention_mask', INT64, [first, 'sequence_length']),
    value(12, 'logits', FLOAT, [first, tinyLabels.length]),
  )
  return message(integer(1, 8), bytes(7, graph), bytes(8, message(integer(2, 13))))
}
