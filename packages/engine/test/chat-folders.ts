import {
  constant,
  FLOAT,
  INT64,
  BOOL,
  ints,
  int,
  model,
  node,
  value,
  weight,
} from '@vision-queue/models/test/onnx-writer'

import {
  attentionDecoder,
  decoderVocabulary,
  decoderWidth,
  embeddingOf,
  type AttentionDecoderOptions,
} from './attention-decoders.ts'

/*
 * Folders of language models that see, one of each family, with the files, names, inputs and outputs of public exports:
 * weights are made up, but attention, positions and features are real, so that an answer depends on all of its prompt.
 */

export interface ChatFolder {
  files: Record<string, object | string>
  graphs: Record<string, Uint8Array>
}

/** The edge of an image, or a tile, in pixels; features of it. */
const edge = 16
export const pieceTokens = 4
const words = ['what', 'is', 'it', '?', 'one', 'two', 'a', 'b', 'c', 'red', 'blue', 'large', 'small', ':', 'and']

/** Words of the family, then others until there are as many as the decoder has. */
function tokenizerOf(special: readonly string[], plain: readonly string[] = []): Record<string, object> {
  const all = ['<pad>', '<s>', '</s>', '<unk>', ...special, ...plain, ...words].slice(0, decoderVocabulary)
  const filled = [...all, ...Array.from({ length: decoderVocabulary - all.length }, (_, index) => `w${index}`)]
  const isSpecial = (content: string): boolean => ['<pad>', '<s>', '</s>', '<unk>', ...special].includes(content)
  return {
    'tokenizer.json': {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: filled.flatMap((content, id) =>
        isSpecial(content)
          ? [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }]
          : [],
      ),
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', unk_token: '<unk>', vocab: Object.fromEntries(filled.map((word, id) => [word, id])) },
    },
    'tokenizer_config.json': { bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', unk_token: '<unk>' },
    'generation_config.json': { bos_token_id: 1, eos_token_id: [2], pad_token_id: 0 },
  }
}

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
function textEncoder(): Uint8Array {
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

const half = [0.5, 0.5, 0.5]
const usual = {
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: half,
  image_std: half,
  resample: 2,
  rescale_factor: 1 / 255,
}
const square = { ...usual, image_processor_type: 'SiglipImageProcessor', size: { height: edge, width: edge } }

const smolTemplate =
  "<s>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
const llavaTemplate =
  "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ' : ' }}{% endif %}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT :' }}{% endif %}"
const qwenTemplate =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
const gemmaTemplate =
  "{{ bos_token }}{%- for message in messages -%}{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}{{ '<start_of_turn>' + role + '\n' }}{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"

type Named = 'idefics3' | 'llava' | 'qwen2_vl' | 'qwen2_5_vl' | 'florence2' | 'gemma3' | 'paligemma'

/** A folder of the family; `decoder` is another one than its usual. */
export function chatFolder(family: Named, decoder: Partial<AttentionDecoderOptions> = {}): ChatFolder {
  const positions = { max_position_embeddings: 500 }
  const config = { model_type: family, text_config: positions, max_position_embeddings: 500 }
  const graphs = (vision: Uint8Array, options: AttentionDecoderOptions): Record<string, Uint8Array> => ({
    'vision_encoder.onnx': vision,
    'embed_tokens.onnx': embedGraph(),
    'decoder_model_merged.onnx': attentionDecoder({ ...options, ...decoder }),
  })
  switch (family) {
    case 'idefics3': {
      const tiles = [1, 2].flatMap((row) => [1, 2].map((column) => `<row_${row}_col_${column}>`))
      return {
        files: {
          ...tokenizerOf(
            ['<image>', '<fake_token_around_image>', '<global-img>', ...tiles, '<end>'],
            ['User', 'Assistant'],
          ),
          'config.json': config,
          'preprocessor_config.json': {
            ...usual,
            do_image_splitting: true,
            do_pad: true,
            image_processor_type: 'Idefics3ImageProcessor',
            max_image_size: { longest_edge: edge },
            resample: 1,
            size: { longest_edge: edge * 2 },
          },
          'processor_config.json': { image_seq_len: pieceTokens, processor_class: 'Idefics3Processor' },
          'chat_template.json': { chat_template: smolTemplate },
        },
        graphs: graphs(tilesEncoder(), { kind: 'plain' }),
      }
    }
    case 'llava':
      return {
        files: {
          ...tokenizerOf(['<image>'], ['USER', 'ASSISTANT']),
          'config.json': { ...config, image_token_index: 4 },
          'preprocessor_config.json': square,
          'processor_config.json': { image_token: '<image>', patch_size: 8, num_additional_image_tokens: 0 },
          'chat_template.jinja': llavaTemplate,
        },
        graphs: graphs(rowsEncoder(), { kind: 'grouped' }),
      }
    case 'qwen2_vl':
    case 'qwen2_5_vl':
      return {
        files: {
          ...tokenizerOf(
            ['<|im_start|>', '<|im_end|>', '<|vision_start|>', '<|vision_end|>', '<|image_pad|>'],
            ['user', 'assistant'],
          ),
          'config.json': { ...config, image_token_id: 8, vision_start_token_id: 6 },
          'preprocessor_config.json': {
            ...usual,
            image_processor_type: 'Qwen2VLImageProcessor',
            max_pixels: 1024,
            merge_size: 2,
            min_pixels: 64,
            patch_size: 4,
            resample: 3,
            temporal_patch_size: 2,
          },
          'chat_template.json': { chat_template: qwenTemplate },
        },
        graphs: graphs(patchesEncoder(family === 'qwen2_vl' ? 'grid_thw' : 'image_grid_thw'), {
          kind: 'plain',
          axes: 3,
        }),
      }
    case 'florence2':
      return {
        files: {
          ...tokenizerOf(['<loc_0>', '<loc_250>', '<loc_500>', '<loc_999>'], ['car', 'wheel', 'Where', 'does']),
          'generation_config.json': {
            decoder_start_token_id: 2,
            bos_token_id: 1,
            eos_token_id: 2,
            pad_token_id: 0,
            forced_bos_token_id: 1,
          },
          'config.json': { ...config, is_encoder_decoder: true },
          'preprocessor_config.json': {
            ...square,
            image_processor_type: 'CLIPImageProcessor',
            image_seq_length: pieceTokens,
            processor_class: 'Florence2Processor',
            task_prompts_with_input: { '<GROUND>': 'Where is {input} ?' },
            task_prompts_without_inputs: { '<OD>': 'what is it ?', '<CAPTION>': 'What does it ?' },
            tasks_answer_post_processing_type: {
              '<OD>': 'description_with_bboxes',
              '<CAPTION>': 'pure_text',
              '<GROUND>': 'phrase_grounding',
            },
          },
        },
        graphs: { ...graphs(rowsEncoder(), { kind: 'crossed' }), 'encoder_model.onnx': textEncoder() },
      }
    case 'gemma3':
      return {
        files: {
          ...tokenizerOf(
            ['<start_of_turn>', '<end_of_turn>', '<start_of_image>', '<end_of_image>', '<image_soft_token>'],
            ['user', 'model'],
          ),
          'tokenizer_config.json': {
            bos_token: '<s>',
            eos_token: '</s>',
            pad_token: '<pad>',
            boi_token: '<start_of_image>',
            eoi_token: '<end_of_image>',
            image_token: '<image_soft_token>',
            chat_template: [{ name: 'default', template: gemmaTemplate }],
          },
          'config.json': config,
          'preprocessor_config.json': {
            ...square,
            do_pan_and_scan: null,
            image_processor_type: 'Gemma3ImageProcessor',
          },
          'processor_config.json': { image_seq_length: pieceTokens },
        },
        graphs: graphs(rowsEncoder(), { kind: 'grouped' }),
      }
    case 'paligemma':
      return {
        files: {
          ...tokenizerOf(['<image>']),
          'config.json': { ...config, image_token_index: 4 },
          'preprocessor_config.json': { ...square, image_seq_length: pieceTokens },
        },
        graphs: graphs(rowsEncoder(), { kind: 'plain' }),
      }
    default:
      return family satisfies never
  }
}
