import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import sharp from 'sharp'

import { loadModel, type LoadedModel, type LoadOptions } from '../src/model.ts'
import { colourGraph } from './tiny-graphs.ts'
import { writeTinyModel } from '@vision-queue/models/test/tiny-model'

type Files = Parameters<typeof writeTinyModel>[1]
const models: LoadedModel[] = []
const folders: string[] = []

/** Images of one colour, 20 x 30. */
export async function colour(background: string): Promise<Uint8Array> {
  return sharp({ create: { width: 20, height: 30, channels: 3, background } })
    .png()
    .toBuffer()
}

/** A folder with nothing of Hugging Face's: its model.json, and the graphs by their names in `onnx/`. */
export async function writeFolder(
  modelJson: NonNullable<Files>[string],
  graphs: Record<string, Uint8Array> = { 'model.onnx': colourGraph() },
  files: Files = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tiny-'))
  folders.push(folder)
  const nothing = {
    'config.json': null,
    'preprocessor_config.json': null,
    'tokenizer.json': null,
    'tokenizer_config.json': null,
  }
  await writeTinyModel(folder, { ...nothing, 'model.json': modelJson, ...files })
  await rm(join(folder, 'onnx', 'model.onnx'))
  for (const [file, bytes] of Object.entries(graphs)) await writeFile(join(folder, 'onnx', file), bytes)
  return folder
}

export async function load(folder: string, options: Partial<LoadOptions> = {}): Promise<LoadedModel> {
  const location = { name: 'tiny', version: '1', folder }
  const model = await loadModel({ ...location, intraOpThreads: 1, maxImagePixels: 1e6, ...options })
  models.push(model)
  return model
}

/** Resolves to the outputs of one batch; an item's error becomes its message. */
export async function runBatch(
  model: LoadedModel,
  jobs: { image: string; input?: Record<string, unknown>; parameters?: Record<string, unknown> }[],
) {
  const items = await Promise.all(
    jobs.map(async ({ image, input = {}, parameters = {} }) =>
      model.prepare({ images: [await colour(image)], input, parameters }),
    ),
  )
  return (await model.run(items)).map((output) => (output instanceof Error ? { error: output.message } : output))
}

/** To be called after each file's tests. */
export async function removeFolders(): Promise<void> {
  await Promise.all(models.splice(0).map(async (model) => model.close()))
  await Promise.all(folders.splice(0).map(async (folder) => rm(folder, { recursive: true })))
}
