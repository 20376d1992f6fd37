import { VisionQueueError } from '@vision-queue/jobs'

import type { Variant } from './execution-options.ts'
import { rowByRow, withAnyBatch } from './fixed-batch.ts'
import { inspectGraph, type GraphFile } from './graph-files.ts'
import type { ModelFolder } from './model-folder.ts'
import type { GraphFacts } from './onnx-graph.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'
import type { Task } from './tasks/task.ts'

/** A model's graphs in one variant, loaded. */
export interface OpenGraphs {
  variant: Variant
  /** The first, which takes the image. */
  session: Session
  sessions: ReadonlyMap<string, Session>
  facts: GraphFacts
  /** Whether jobs of one run would change each other's answers, so that none share one. */
  rowsDepend: boolean
  close: () => Promise<void>
}

/** The names of the graphs that a task runs of a folder; throws `model_unavailable` naming what is missing. */
export function chooseGraphs({ name, version, graphs }: ModelFolder, task: Task): readonly string[] {
  const sets = task.graphs ?? [['model']]
  const there = new Set(graphs.map((graph) => graph.name))
  const chosen = sets.find((set) => set.every((graph) => there.has(graph)))
  if (chosen !== undefined) return chosen
  const wanted = sets.map((set) => set.map((graph) => `onnx/${graph}.onnx`).join(' and ')).join(', or ')
  const sentence = `${name}/${version}: ${task.name} needs ${wanted}; there are: ${[...there].join(', ')}.`
  throw new VisionQueueError('model_unavailable', sentence)
}

/** The variants in which the first of these graphs is there. */
export function listVariants({ graphs }: ModelFolder, [first]: readonly string[]): Variant[] {
  return graphs.filter(({ name }) => name === first).map(({ variant }) => variant)
}

/** Whether one of these graphs quantises while it runs in this variant. */
export async function isDynamic(folder: ModelFolder, names: readonly string[], variant: Variant): Promise<boolean> {
  const files = names.map((name) => findGraph(folder.graphs, name, variant)).filter((file) => file.variant === variant)
  const facts = await Promise.all(files.map(async ({ path }) => inspectGraph(path).catch(() => null)))
  return facts.some((fact) => fact?.dynamicQuantization === true)
}

/** Loads a set of graphs. One that isn't there in the variant is loaded as fp32, or what there is. */
export async function openGraphs(
  folder: ModelFolder,
  names: readonly string[],
  variant: Variant,
  options: SessionOptions,
): Promise<OpenGraphs> {
  const sessions = new Map<string, Session>()
  const close = async (): Promise<void> => {
    await Promise.all([...sessions.values()].map(async (session) => session.close()))
  }
  try {
    let facts: GraphFacts | null = null
    let rowsDepend = false
    for (const name of names) {
      const { path } = findGraph(folder.graphs, name, variant)
      const itsFacts = await inspectGraph(path)
      facts ??= itsFacts
      rowsDepend ||= itsFacts.dynamicQuantization
      const session = withAnyBatch(await openSession(path, options))
      sessions.set(name, itsFacts.dynamicQuantization ? rowByRow(session) : session)
    }
    const [session] = sessions.values()
    if (session === undefined || facts === null) throw new Error('a task names no graphs')
    return { variant: namedVariant(variant, session), session, sessions, facts, rowsDepend, close }
  } catch (error) {
    await close()
    throw error
  }
}

function findGraph(graphs: readonly GraphFile[], name: string, variant: Variant): GraphFile {
  const own = graphs.filter((graph) => graph.name === name)
  const found =
    own.find((graph) => graph.variant === variant) ?? own.find((graph) => graph.variant === 'fp32') ?? own[0]
  if (found === undefined) throw new VisionQueueError('model_unavailable', `onnx/${name}.onnx is missing.`)
  return found
}

/** A file without a suffix may hold half floats all the same. */
function namedVariant(variant: Variant, { inputs }: Session): Variant {
  return variant === 'fp32' && [...inputs.values()].some(({ type }) => type === 'float16') ? 'fp16' : variant
}
