import { cp, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { z } from 'zod'

import type { ChatQuestion } from './subjects/chat-plan.ts'

export const chatModel = 'shapes-chat'
/** The models that ship. */
export const shippedModels = fileURLToPath(new URL('../../models', import.meta.url))

const prompts = [
  'What is in the scene?',
  'Return all objects as JSON, top to bottom.',
  'List the objects, left to right as JSON.',
  'Describe what you see.',
]
const types: Readonly<Record<string, string>> = { '.jpg': 'image/jpeg', '.webp': 'image/webp' }

/** Questions with long answers about the pictures that ship beside shapes-chat. */
export async function chatQuestions(): Promise<ChatQuestion[]> {
  const folder = join(shippedModels, chatModel, '1/examples')
  const files = (await readdir(folder))
    .toSorted()
    .map((name) => ({ file: join(folder, name), type: types[extname(name)] }))
  return files.flatMap(({ file, type }) =>
    type === undefined ? [] : prompts.map((prompt) => ({ file, type, prompt })),
  )
}

/** A repository in which shapes-chat answers one question at a time. It is made in `folder`. */
export async function oneAtATime(folder: string): Promise<string> {
  const repository = await mkdtemp(join(folder, 'one-at-a-time-'))
  const version = join(repository, chatModel, '1')
  await cp(join(shippedModels, chatModel, '1'), version, { recursive: true })
  const settings = z.looseObject({}).parse(JSON.parse(await readFile(join(version, 'model.json'), 'utf8')))
  await writeFile(join(version, 'model.json'), JSON.stringify({ ...settings, max_batch_size: 1 }))
  return repository
}
