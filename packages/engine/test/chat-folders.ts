import { attentionDecoder, type AttentionDecoderOptions } from './attention-decoders.ts'
import { decoderVocabulary } from './attention-parts.ts'
import { edge, embedGraph, patchesEncoder, pieceTokens, rowsEncoder, textEncoder, tilesEncoder } from './chat-graphs.ts'

/*
 * Folders of language models that see, one of each family, with the files, names, inputs and outputs of public exports.
 */

export interface ChatFolder {
  files: Record<string, object | string>
  graphs: Record<string, Uint8Array>
}

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

/** What a family has of its own: its files, its encoder of images, and how its decoder is made. */
interface Parts {
  files: Record<string, object | string>
  vision: Uint8Array
  decoder: AttentionDecoderOptions
  others?: Record<string, Uint8Array>
}

function idefics3(): Parts {
  const tiles = [1, 2].flatMap((row) => [1, 2].map((column) => `<row_${row}_col_${column}>`))
  const special = ['<image>', '<fake_token_around_image>', '<global-img>', ...tiles, '<end>']
  return {
    files: {
      ...tokenizerOf(special, ['User', 'Assistant']),
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
    vision: tilesEncoder(),
    decoder: { kind: 'plain' },
  }
}

function llava(): Parts {
  return {
    files: {
      ...tokenizerOf(['<image>'], ['USER', 'ASSISTANT']),
      'config.json': { image_token_index: 4 },
      'preprocessor_config.json': square,
      'processor_config.json': { image_token: '<image>', patch_size: 8, num_additional_image_tokens: 0 },
      'chat_template.jinja': llavaTemplate,
    },
    vision: rowsEncoder(),
    decoder: { kind: 'grouped' },
  }
}

/** Its tiles need a vector of the weights, so that images are seen whole. */
function llavaOnevision(): Parts {
  const { files, ...parts } = llava()
  return {
    ...parts,
    files: {
      ...files,
      'preprocessor_config.json': {
        ...square,
        image_grid_pinpoints: [
          [edge, edge],
          [edge, edge * 2],
          [edge * 2, edge * 2],
        ],
        image_processor_type: 'LlavaOnevisionImageProcessor',
      },
    },
  }
}

function qwen(gridName: 'grid_thw' | 'image_grid_thw'): Parts {
  const special = ['<|im_start|>', '<|im_end|>', '<|vision_start|>', '<|vision_end|>', '<|image_pad|>']
  return {
    files: {
      ...tokenizerOf(special, ['user', 'assistant']),
      'config.json': { image_token_id: 8, vision_start_token_id: 6 },
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
    vision: patchesEncoder(gridName),
    decoder: { kind: 'plain', axes: 3 },
  }
}

/** As its files name the bounds of an image's pixels. */
function qwen3(): Parts {
  const { files, ...parts } = qwen('image_grid_thw')
  const { max_pixels: longest_edge, min_pixels: shortest_edge, ...others } = Object(files['preprocessor_config.json'])
  return {
    ...parts,
    files: {
      ...files,
      'preprocessor_config.json': {
        ...others,
        image_processor_type: 'Qwen2VLImageProcessorFast',
        size: { longest_edge, shortest_edge },
      },
    },
  }
}

function florence2(): Parts {
  const kinds = { '<OD>': 'description_with_bboxes', '<CAPTION>': 'pure_text', '<GROUND>': 'phrase_grounding' }
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
      'config.json': { is_encoder_decoder: true },
      'preprocessor_config.json': {
        ...square,
        image_processor_type: 'CLIPImageProcessor',
        image_seq_length: pieceTokens,
        processor_class: 'Florence2Processor',
        task_prompts_with_input: { '<GROUND>': 'Where is {input} ?' },
        task_prompts_without_inputs: { '<OD>': 'what is it ?', '<CAPTION>': 'What does it ?' },
        tasks_answer_post_processing_type: kinds,
      },
    },
    vision: rowsEncoder(),
    decoder: { kind: 'crossed' },
    others: { 'encoder_model.onnx': textEncoder() },
  }
}

function gemma3(): Parts {
  const special = ['<start_of_turn>', '<end_of_turn>', '<start_of_image>', '<end_of_image>', '<image_soft_token>']
  return {
    files: {
      ...tokenizerOf(special, ['user', 'model']),
      'tokenizer_config.json': {
        bos_token: '<s>',
        eos_token: '</s>',
        pad_token: '<pad>',
        boi_token: '<start_of_image>',
        eoi_token: '<end_of_image>',
        image_token: '<image_soft_token>',
        chat_template: [{ name: 'default', template: gemmaTemplate }],
      },
      'preprocessor_config.json': { ...square, do_pan_and_scan: null, image_processor_type: 'Gemma3ImageProcessor' },
      'processor_config.json': { image_seq_length: pieceTokens },
    },
    vision: rowsEncoder(),
    decoder: { kind: 'grouped' },
  }
}

function paliGemma(): Parts {
  return {
    files: {
      ...tokenizerOf(['<image>']),
      'config.json': { image_token_index: 4 },
      'preprocessor_config.json': { ...square, image_seq_length: pieceTokens },
    },
    vision: rowsEncoder(),
    decoder: { kind: 'plain' },
  }
}

const families = {
  idefics3,
  llava,
  llava_onevision: llavaOnevision,
  qwen2_vl: () => qwen('grid_thw'),
  qwen2_5_vl: () => qwen('image_grid_thw'),
  qwen3_vl: qwen3,
  florence2,
  gemma3,
  paligemma: paliGemma,
}
export type TinyFamily = keyof typeof families

/** A folder of the family; `decoder` is another one than its usual. */
export function chatFolder(family: TinyFamily, decoder: Partial<AttentionDecoderOptions> = {}): ChatFolder {
  const parts = families[family]()
  const positions = { max_position_embeddings: 500 }
  const config = { model_type: family, text_config: positions, ...positions }
  return {
    files: { ...parts.files, 'config.json': { ...config, ...Object(parts.files['config.json']) } },
    graphs: {
      'vision_encoder.onnx': parts.vision,
      'embed_tokens.onnx': embedGraph(),
      'decoder_model_merged.onnx': attentionDecoder({ ...parts.decoder, ...decoder }),
      ...parts.others,
    },
  }
}
