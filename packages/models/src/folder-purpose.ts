import { readdir } from 'node:fs/promises'

import { taskOf, type GraphNames } from './architectures.ts'
import type { ModelLocation } from './find-model.ts'
import { unavailable } from './folder-files.ts'
import { ofGenai, withoutGraph } from './foreign-files.ts'
import { findGraphs, type GraphFile } from './graph-files.ts'
import { type GraphFacts, readGraphFacts } from './onnx-graph.ts'

/** What a folder is for, and the graphs that do it. */
export interface Purpose {
  task: string
  /** At least one. */
  graphs: GraphFile[]
}

/** What the folder's small files say of it. */
export interface Said {
  /** model.json's task, which goes before everything else; null where there is no model.json. */
  task: string | null
  /** config.json's; null where there is no config.json. */
  architectures: readonly string[] | null
}

/**
 * The task of a folder: model.json's, or what config.json's architectures and the graphs say. Rejects with
 * `model_unavailable` and what to do about it where there is no graph, where nothing says the task, and where it
 * is none of `tasks`, the tasks of this release; null takes any.
 */
export async function readPurpose(
  { name, version, folder }: ModelLocation,
  said: Said,
  tasks: readonly string[] | null,
): Promise<Purpose> {
  const shown = `${name}/${version}`
  const entries = await readdir(folder).catch((): string[] => [])
  const { graphs, unknown } = await findGraphs(folder)
  const names = [...new Set(graphs.map((graph) => graph.name))]
  if (said.task === null && entries.includes('genai_config.json')) throw unavailable(`${shown} ${ofGenai(names)}`)
  if (graphs.length === 0) {
    const what =
      unknown.length > 0
        ? `what is there are graphs of a form that ONNX Runtime does not run: ${unknown.join(', ')}.`
        : withoutGraph(entries)
    throw unavailable(`${shown}/onnx/model.onnx is missing: ${what}`)
  }
  if (said.task !== null) return { task: said.task, graphs }
  const read = await readNames(graphs)
  // A graph alone may be anybody's; beside Hugging Face's files it has their names of inputs and outputs.
  const isTheirs = said.architectures !== null || entries.includes('preprocessor_config.json')
  const task = isTheirs ? taskOf(said.architectures ?? [], read) : null
  if (task === null) throw unavailable(nothingSaid(shown, said.architectures, { tasks: tasks ?? [], read }))
  if (tasks === null || tasks.includes(task)) return { task, graphs }
  const evidence = said.architectures?.[0] ?? `graphs: ${names.join(', ')}`
  throw unavailable(
    `${shown} is a model for ${task} (${evidence}), a task that this release does not have; it has: ${tasks.join(', ')}. A task in model.json goes before what config.json says.`,
  )
}

/** By graph: the names that its file gives, of the first variant that can be read. */
async function readNames(graphs: readonly GraphFile[]): Promise<GraphNames> {
  const names = new Map<string, GraphFacts | null>()
  for (const { name, path } of graphs) {
    if (names.get(name) != null) continue
    names.set(name, await readGraphFacts(path).catch(() => null))
  }
  return names
}

function nothingSaid(
  shown: string,
  architectures: readonly string[] | null,
  { tasks, read }: { tasks: readonly string[]; read: GraphNames },
): string {
  const config =
    architectures === null
      ? 'there is no config.json'
      : `config.json does not say what the model is for (architectures: ${architectures.join(', ') || 'none'})`
  const graphs = [...read].map(([name, io]) =>
    io === null ? name : `${name} takes ${io.inputs.join(', ')} and gives ${io.outputs.join(', ')}`,
  )
  const known = tasks.length === 0 ? '' : `, one of: ${tasks.join(', ')}`
  return `${shown}/model.json is missing, and ${config}. Write model.json with the task, such as {"task": "image-classification"}${known}; and what no file beside it says, such as preprocessing and labels (docs/models.md). Graphs: ${graphs.join('; ').slice(0, 400)}.`
}
