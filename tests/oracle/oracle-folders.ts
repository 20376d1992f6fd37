import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { chatFolder, type TinyFamily } from '@vision-queue/engine/test/chat-folders'

type Files = Record<string, Record<string, unknown>>

/** What Transformers.js reads of a folder and we don't: its classes, and the names of decoders. */
const classes: Partial<Record<TinyFamily, { name: string; decoder: string }>> = {
  llava: { name: 'Llava', decoder: 'llama' },
  gemma3: { name: 'Gemma3', decoder: 'llama' },
  paligemma: { name: 'PaliGemma', decoder: 'llama' },
  florence2: { name: 'Florence2', decoder: 'florence2_language' },
  idefics3: { name: 'Idefics3', decoder: 'llama' },
  qwen2_vl: { name: 'Qwen2VL', decoder: 'qwen2' },
  qwen2_5_vl: { name: 'Qwen2_5_VL', decoder: 'qwen2' },
  qwen3_vl: { name: 'Qwen3VL', decoder: 'qwen3_vl_text' },
}
/** By what id the place of an image is known, of folders whose files don't say so as Transformers.js wants it. */
const imageIds: Partial<Record<TinyFamily, number>> = { idefics3: 4, gemma3: 8 }

/** Layers and heads as the decoders of chat-folders.ts have them. */
const shape = {
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  hidden_size: 32,
  head_dim: 16,
}
const crossed = {
  encoder_attention_heads: 2,
  decoder_attention_heads: 2,
  decoder_layers: 2,
  encoder_layers: 2,
  d_model: 32,
}

/** Writes the family's tiny folder as Transformers.js reads it: the same graphs and files, with what it needs beside. */
export async function writeOracleFolder(family: TinyFamily, folder: string): Promise<void> {
  const { files: own, graphs } = chatFolder(family)
  const kind = classes[family]
  if (kind === undefined) throw new Error(`How Transformers.js calls ${family} is not known.`)
  const {
    'chat_template.jinja': given,
    'chat_template.json': inJson,
    ...files
  }: Files & Record<string, unknown> = Object(own)
  const config: Files[string] = Object(files['config.json'])
  const imageId = imageIds[family]
  const text = { ...Object(config['text_config']), model_type: kind.decoder, ...shape, ...crossed }
  const tokenizer: Files[string] = Object(files['tokenizer_config.json'])
  const [named] = Array.isArray(tokenizer['chat_template']) ? tokenizer['chat_template'] : []
  const template: unknown = given ?? inJson?.['chat_template'] ?? Object(named).template
  const processor_class = `${kind.name}Processor`
  const written: Record<string, unknown> = {
    ...files,
    'config.json': {
      ...config,
      architectures: [`${kind.name}ForConditionalGeneration`],
      ...shape,
      text_config: text,
      vision_config: { spatial_merge_size: 2 },
      ...(imageId === undefined ? {} : { image_token_id: imageId, image_token_index: imageId }),
    },
    'processor_config.json': { ...Object(files['processor_config.json']), processor_class },
    'preprocessor_config.json': { ...Object(files['preprocessor_config.json']), processor_class },
    'tokenizer_config.json': {
      ...tokenizer,
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...(template === undefined ? {} : { chat_template: template }),
    },
    ...(template === undefined ? {} : { 'chat_template.jinja': template }),
  }
  for (const [file, content] of Object.entries(written)) {
    await put(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  for (const [file, bytes] of Object.entries(graphs)) await put(join(folder, 'onnx', file), bytes)
}

async function put(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}
