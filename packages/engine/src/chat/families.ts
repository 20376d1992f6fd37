import type { ModelFolder } from '@vision-queue/models'

import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily } from './chat-family.ts'
import { florence2 } from './florence2.ts'
import { gemma3, paliGemma } from './gemma3.ts'
import { idefics3 } from './idefics3.ts'
import { llava } from './llava.ts'
import { qwenVl } from './qwen-vl.ts'

/** Every kind of language model that sees, of which one is a file here. */
export const families: readonly ChatFamily[] = [idefics3, llava, qwenVl, florence2, gemma3, paliGemma]

/** The family of a folder by config.json's `model_type`, or by its architecture where there is none; throws `model_unavailable` listing those there are. */
export function findFamily(folder: ModelFolder): ChatFamily {
  const { model_type: type, architectures } = folder.chat?.config ?? {}
  const modelType = typeof type === 'string' ? type : typeOfArchitecture(architectures)
  const family = families.find(({ modelTypes }) => modelType !== null && modelTypes.includes(modelType))
  if (family !== undefined) return family
  const known = families.flatMap(({ modelTypes }) => modelTypes).join(', ')
  throw lacking(folder, `a model_type in config.json that is known (${known}); it is ${modelType ?? 'missing'}`)
}

/** Architectures of older files, which name the family and what it is for: `LlavaForConditionalGeneration`. */
function typeOfArchitecture(architectures: unknown): string | null {
  const [first]: unknown[] = Array.isArray(architectures) ? architectures : []
  const named = typeof first === 'string' ? first.replace(/For[A-Z]\w*$/, '') : ''
  const byArchitecture: Record<string, string> = {
    Idefics3: 'idefics3',
    SmolVLM: 'smolvlm',
    Llava: 'llava',
    LlavaNext: 'llava_next',
    LlavaOnevision: 'llava_onevision',
    LlavaQwen2: 'llava_qwen2',
    Qwen2VL: 'qwen2_vl',
    Qwen2_5_VL: 'qwen2_5_vl',
    Qwen3VL: 'qwen3_vl',
    Florence2: 'florence2',
    Gemma3: 'gemma3',
    PaliGemma: 'paligemma',
  }
  return byArchitecture[named] ?? null
}
