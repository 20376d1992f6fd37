import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { readModelFolder } from '@vision-queue/models'
import { z } from 'zod'

import { chatDefaults } from '../src/chat/chat-defaults.ts'
import { openChatJobs } from '../src/chat/chat-jobs.ts'
import { chatParametersSchema } from '../src/chat/chat-schemas.ts'
import { createFeatureCache } from '../src/chat/feature-cache.ts'
import { openChatModel } from '../src/chat/open-model.ts'
import { chooseGraphs, openGraphs } from '../src/onnx/open-graphs.ts'
import { imageTextToText } from '../src/tasks/image-text-to-text.ts'
import { chatFolder, type TinyFamily } from './chat-folders.ts'
import { writeFolder } from './tiny-folder.ts'

const jsonFiles = z.record(z.string(), z.json())
type Options = Parameters<typeof chatFolder>[1]

/** Writes a tiny folder of the family. */
export async function writeChatFolder(family: TinyFamily, decoder?: Options, files: object = {}): Promise<string> {
  const { files: own, graphs } = chatFolder(family, decoder)
  const { 'chat_template.jinja': template, ...json }: Record<string, unknown> = { ...own, ...files }
  const folder = await writeFolder({ task: 'image-text-to-text', max_batch_size: 8 }, graphs, jsonFiles.parse(json))
  if (typeof template === 'string') await writeFile(join(folder, 'chat_template.jinja'), template)
  return folder
}

/** A family's tiny model, and what prepares its jobs; without a stepper and a warm-up. */
export async function openTinyChat(folder: string) {
  const model = await readModelFolder({ name: 'tiny', version: '1', folder })
  const graphs = await openGraphs(model, chooseGraphs(model, imageTextToText), 'fp32', { intraOpThreads: 1 })
  const limits = { maxImagePixels: 1e7, shrinkAbovePixels: 1e6, heavyImageBytes: 1e8 }
  const chat = await openChatModel({
    folder: model,
    ...graphs,
    ...limits,
    featureCacheBytes: 1e6,
    generationCacheBytes: 1e8,
  })
  const cache = createFeatureCache(1e6)
  const parameters = chatParametersSchema(chatDefaults(model.generation))
  return { chat, cache, prepare: openChatJobs(model, { chat, cache, parameters }), close: graphs.close }
}
