import { chatFolder, type TinyFamily } from '../chat-folders.ts'
import type { Layout } from './folder.ts'

/** A tiny folder of the family without model.json; `changes` replace files, in the graphs' folder too. */
function chats(
  architecture: string,
  family: TinyFamily,
  { decoder, changes = {} }: { decoder?: Parameters<typeof chatFolder>[1]; changes?: Layout['files'] } = {},
): Layout['files'] {
  const { files, graphs } = chatFolder(family, decoder)
  const config = { ...Object(files['config.json']), architectures: [architecture] }
  const onnx = Object.entries(graphs).map(([name, bytes]) => [`onnx/${name}`, bytes] as const)
  return { ...files, 'config.json': config, ...Object.fromEntries(onnx), ...changes }
}

/** The files of one with half floats: the decoder alone, as people fetch them. */
function withHalves(): Layout['files'] {
  const { 'onnx/decoder_model_merged.onnx': decoder, ...others } = chats(
    'Idefics3ForConditionalGeneration',
    'idefics3',
    {
      decoder: { type: 'float16' },
    },
  )
  return { ...others, ...(decoder === undefined ? {} : { 'onnx/decoder_model_merged_q4f16.onnx': decoder }) }
}

function withoutTemplate(): Layout['files'] {
  const { 'chat_template.jinja': _, ...others } = chats('LlavaForConditionalGeneration', 'llava')
  return others
}

/** Language models that see. */
export const chatting: readonly Layout[] = [
  { name: 'SmolVLM, Idefics3', files: chats('Idefics3ForConditionalGeneration', 'idefics3') },
  { name: 'SmolVLM, its decoder in `_q4f16` alone: half floats as keys and values', files: withHalves() },
  { name: 'LLaVA, FastVLM', files: chats('LlavaForConditionalGeneration', 'llava') },
  { name: 'LLaVA-OneVision', files: chats('LlavaOnevisionForConditionalGeneration', 'llava_onevision') },
  {
    name: 'LLaVA-NeXT',
    files: chats('LlavaNextForConditionalGeneration', 'llava', {
      changes: { 'config.json': { model_type: 'llava_next', architectures: ['LlavaNextForConditionalGeneration'] } },
    }),
  },
  { name: 'Qwen2-VL', files: chats('Qwen2VLForConditionalGeneration', 'qwen2_vl') },
  { name: 'Qwen2.5-VL', files: chats('Qwen2_5_VLForConditionalGeneration', 'qwen2_5_vl') },
  { name: 'Qwen3-VL', files: chats('Qwen3VLForConditionalGeneration', 'qwen3_vl') },
  { name: 'Gemma 3', files: chats('Gemma3ForConditionalGeneration', 'gemma3') },
  { name: 'PaliGemma', files: chats('PaliGemmaForConditionalGeneration', 'paligemma') },
  { name: 'Florence-2', files: chats('Florence2ForConditionalGeneration', 'florence2') },
  {
    name: 'a language model that sees, of a family that is not known',
    files: chats('MllamaForConditionalGeneration', 'llava', {
      changes: { 'config.json': { model_type: 'mllama', architectures: ['MllamaForConditionalGeneration'] } },
    }),
  },
  {
    name: 'LLaVA without its chat template',
    files: withoutTemplate(),
  },
]
