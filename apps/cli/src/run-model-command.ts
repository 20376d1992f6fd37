import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'

import {
  findModel,
  listModels,
  type ModelLocation,
  readModelFolder,
  readRemoteModel,
  toModelName,
  versionFolders,
} from '@vision-queue/models'
import { VisionQueueError } from '@vision-queue/protocol'

import type { AddOptions, ModelCommand } from './model-command.ts'
import { copyModel, findSource } from './model-source.ts'
import type { Output } from './run-key-command.ts'
import { RefusalError } from './usage-error.ts'

/** What the environment says of the repository. */
export interface ModelSettings {
  repository: string
  maxBytes: number
  /** The environment of the check. */
  env: Record<string, string | undefined>
}

/** Resolves to the exit code. */
export async function runModelCommand(command: ModelCommand, settings: ModelSettings, output: Output): Promise<number> {
  try {
    if (command.kind === 'list') return await list(resolve(command.repository ?? settings.repository), output)
    return await add(command.source, command.options, { settings, output })
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error
    output.note(error.message)
    return 1
  }
}

async function list(repository: string, { result, note }: Output): Promise<number> {
  const names = await listModels(repository)
  if (names.length === 0) note(`There are no models in ${repository}.`)
  for (const name of names) {
    for (const version of (await versionFolders(join(repository, name))).keys()) {
      result(`${name}@${version}  ${await describe(repository, name, version)}`)
    }
  }
  return 0
}

async function describe(repository: string, name: string, version: string): Promise<string> {
  try {
    return await taskOf(await findModel(repository, name, version))
  } catch (error) {
    return error instanceof VisionQueueError ? `can not be served: ${error.detail}` : String(error)
  }
}

/** Throws `model_unavailable` where the folder's files say that it can't be served. */
async function taskOf(location: ModelLocation): Promise<string> {
  return (readRemoteModel(location) ?? (await readModelFolder(location))).task
}

/** Copies into a hidden folder of the repository, checks the model there, and moves it to its place at once. */
async function add(
  source: string,
  options: AddOptions,
  { settings, output }: { settings: ModelSettings; output: Output },
): Promise<number> {
  const repository = resolve(options.repository ?? settings.repository)
  await mkdir(repository, { recursive: true })
  const scratch = await mkdtemp(join(repository, '.adding-'))
  try {
    const found = await findSource(source, { scratch, maxBytes: settings.maxBytes })
    const name = options.name ?? toModelName(found.name)
    const { version } = options
    const place = join(repository, name, version)
    await refuseTaken({ repository, name, version, replace: options.replace })
    const staged = join(scratch, 'model', name, version)
    await mkdir(staged, { recursive: true })
    const leftOut = await copyModel(found, staged)
    if (leftOut.length > 0) output.note(`Left out: ${leftOut.join(', ')}.`)
    await writeModelJson(staged, options)
    if ((await check(staged, settings.env)) !== 0) {
      output.note(`${source} was not added. What its files don't say, --task or --model-json can.`)
      return 1
    }
    const task = await taskOf({ name, version, folder: staged })
    await moveInto(place, staged, join(scratch, 'before'))
    output.note(
      `${name}@${version} is in ${relative(process.cwd(), place) || place}. Where the service runs on this repository, it loads it by itself; then ask:`,
    )
    output.result(exampleOf(name, task))
    return 0
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function refuseTaken({
  repository,
  name,
  version,
  replace,
}: {
  repository: string
  name: string
  version: string
  replace: boolean
}): Promise<void> {
  const versions = await versionFolders(join(repository, name))
  const own = join(repository, name)
  if ([...versions.values()].includes(own)) {
    throw new RefusalError(`${own} is a model without folders for versions: add this one by another --name.`)
  }
  if (!replace && (await stat(join(own, version)).catch(() => null)) !== null) {
    throw new RefusalError(
      `${name}@${version} is there already: --replace puts this one in its place, --version V beside it, --name NAME elsewhere.`,
    )
  }
}

async function writeModelJson(folder: string, { task, modelJson }: AddOptions): Promise<void> {
  if (task !== null) await writeFile(join(folder, 'model.json'), `${JSON.stringify({ task })}\n`)
  if (modelJson === null) return
  await copyFile(resolve(modelJson), join(folder, 'model.json')).catch(() => {
    throw new RefusalError(`${modelJson} can not be read.`)
  })
}

/** Runs the engine's own check in a process of its own, which prints what the model is. */
async function check(folder: string, env: ModelSettings['env']): Promise<number> {
  const { resolve: find } = createRequire(import.meta.url)
  const program = [find('@vision-queue/bundles/run'), find('@vision-queue/engine/check-model')]
  const child = spawn(process.execPath, [...program, folder], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...env, ORT_DISABLE_TELEMETRY: '1' },
  })
  const [code]: unknown[] = await once(child, 'close')
  return code === 0 ? 0 : 1
}

/** A rename within the repository's own file system: the version is there as a whole, or as it was. */
async function moveInto(place: string, staged: string, before: string): Promise<void> {
  await mkdir(join(place, '..'), { recursive: true })
  const isThere = (await stat(place).catch(() => null)) !== null
  if (isThere) await rename(place, before)
  try {
    await rename(staged, place)
  } catch (error) {
    if (isThere) await rename(before, place)
    throw error
  }
}

const questions: Record<string, string> = {
  'visual-question-answering': ` -F 'question=What is in the image?'`,
  'visual-entailment': ` -F 'text=There is a cat.'`,
  'image-text-to-text': ` -F 'prompt=What is in the image?'`,
  'zero-shot-image-classification': ` -F 'candidate_labels=a cat, a dog'`,
}

function exampleOf(name: string, task: string): string {
  if (task === 'tensors') {
    // By the names and types that the check has printed.
    const body = `{"model": "${name}", "input": {"tensors": {"INPUT": {"data": [NUMBERS]}}}}`
    return `curl -H 'Content-Type: application/json' -d '${body}' -H 'Prefer: wait=10' localhost:3000/jobs`
  }
  return `curl -F model=${name} -F image=@picture.jpg${questions[task] ?? ''} -H 'Prefer: wait=10' localhost:3000/jobs`
}
