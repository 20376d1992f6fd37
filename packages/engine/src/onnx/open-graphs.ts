import { VisionQueueError } from '@vision-queue/protocol'

import type { Variant } from '@vision-queue/models'
import { withAnyBatch, withRowsApart } from './fixed-batch.ts'
import { inspectGraph, type GraphFile } from '@vision-queue/models'
import type { ModelFolder } from '@vision-queue/models'
import type { GraphFacts } from '@vision-queue/models'
import { openSession, type Session, type SessionOptions } from './session.ts'
import type { Task } from '../tasks/task.ts'

/** A model's graphs in one variant, loaded. */
export interface OpenGraphs {
  variant: Variant
  /** The first, which takes the image. */
  session: Session
  sessions: ReadonlyMap<string, Session>
  facts: GraphFacts
  /** Loads another graph of the folder; null where it has none of this name. Closed with the others, or before. */
  openBeside: (name: string) => Promise<Session | null>
  /** Whether jobs of one run would change each other's answers, so that no two rows share one. */
  rowsApart: boolean
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

/** Whether one of these graphs computes a row from the others in this variant, as one that quantises while it runs. */
export async function isDynamic(folder: ModelFolder, names: readonly string[], variant: Variant): Promise<boolean> {
  const files = names.map((name) => findGraph(folder.graphs, name, variant)).filter((file) => file.variant === variant)
  const facts = await Promise.all(files.map(async ({ path }) => inspectGraph(path).catch(() => null)))
  return facts.some((fact) => fact !== null && fact.mixesRows !== null)
}

/**
 * Loads a set of graphs. One that isn't there in the variant is loaded as fp32, or what there is. `rowsApart`: no
 * two rows share a run, as in graphs that compute a row from the others; those whose file says so are run like that anyway.
 */
export async function openGraphs(
  folder: ModelFolder,
  names: readonly string[],
  variant: Variant,
  { rowsApart = false, ...options }: SessionOptions & { rowsApart?: boolean },
): Promise<OpenGraphs> {
  const sessions = new Map<string, Session>()
  const open = new Set<Session>()
  const close = async (): Promise<void> => {
    await Promise.all([...open].map(async (session) => session.close()))
  }
  const openOne = async (name: string): Promise<{ session: Session; facts: GraphFacts }> => {
    const { path } = findGraph(folder.graphs, name, variant)
    const facts = await inspectGraph(path)
    const loaded = await openSession(path, options)
    const session: Session = {
      ...loaded,
      async close() {
        if (open.delete(session)) await loaded.close()
      },
    }
    open.add(session)
    const apart = rowsApart || facts.mixesRows !== null
    return { facts, session: apart ? withRowsApart(session) : withAnyBatch(session) }
  }
  const openBeside = async (name: string): Promise<Session | null> =>
    folder.graphs.some((graph) => graph.name === name) ? (await openOne(name)).session : null
  try {
    let facts: GraphFacts | null = null
    for (const name of names) {
      const opened = await openOne(name)
      facts ??= opened.facts
      sessions.set(name, opened.session)
    }
    const [session] = sessions.values()
    if (session === undefined || facts === null) throw new Error('a task names no graphs')
    const areApart = [...sessions.values()].some((one) => one.rowsApart === true)
    return { variant: namedVariant(variant, session), session, sessions, facts, openBeside, rowsApart: areApart, close }
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
