import { VisionQueueError } from '@vision-queue/protocol'

import { type Variant, variantSchema } from '@vision-queue/models'
import { withAnyBatch, withRowsApart } from './fixed-batch.ts'
import { inspectGraph, type GraphFile } from '@vision-queue/models'
import type { ModelFolder } from '@vision-queue/models'
import type { GraphFacts } from '@vision-queue/models'
import { openSession, type Session, type SessionOptions } from './session.ts'
import type { Task } from '../tasks/task.ts'
import { type OnLoadStep, untold } from '../load-step.ts'

/** A model's graphs in one variant, loaded. */
export interface OpenGraphs {
  variant: Variant
  /** By its name, in which variant each graph is open. */
  variants: ReadonlyMap<string, Variant>
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

/** The variants in which any of these graphs is there, in the order of variantSchema. */
export function listVariants({ graphs }: ModelFolder, names: readonly string[]): Variant[] {
  const there = new Set(graphs.filter(({ name }) => names.includes(name)).map(({ variant }) => variant))
  return variantSchema.options.filter((variant) => there.has(variant))
}

/** Whether one of these graphs computes a row from the others in this variant, as one that quantises while it runs. */
export async function isDynamic(folder: ModelFolder, names: readonly string[], variant: Variant): Promise<boolean> {
  const files = names.map((name) => findGraph(folder, name, variant)).filter((file) => file.variant === variant)
  const facts = await Promise.all(files.map(async ({ path }) => inspectGraph(path).catch(() => null)))
  return facts.some((fact) => fact !== null && fact.mixesRows !== null)
}

/**
 * Loads a set of graphs, each in the variant if it is there in it: folders of the web often have another set of variants
 * for each graph. One that isn't is loaded as config.json recommends, as fp32, or as what there is. `rowsApart`: no
 * two rows share a run, as in graphs that compute a row from the others; those whose file says so are run like that anyway.
 */
export async function openGraphs(
  folder: ModelFolder,
  names: readonly string[],
  variant: Variant,
  { rowsApart = false, onStep = untold, ...options }: SessionOptions & { rowsApart?: boolean; onStep?: OnLoadStep },
): Promise<OpenGraphs> {
  const sessions = new Map<string, Session>()
  const open = new Set<Session>()
  const variants = new Map<string, Variant>()
  const close = async (): Promise<void> => {
    await Promise.all([...open].map(async (session) => session.close()))
  }
  const openOne = async (name: string): Promise<{ session: Session; facts: GraphFacts }> => {
    const { path, variant: found } = findGraph(folder, name, variant)
    const facts = await inspectGraph(path)
    const loaded = await openSession(path, options)
    const session: Session = {
      ...loaded,
      operators: facts.operators,
      async close() {
        if (!open.delete(session)) return
        variants.delete(name)
        await loaded.close()
      },
    }
    open.add(session)
    variants.set(name, found)
    const apart = rowsApart || facts.mixesRows !== null
    return { facts, session: apart ? withRowsApart(session) : withAnyBatch(session) }
  }
  const openBeside = async (name: string): Promise<Session | null> =>
    folder.graphs.some((graph) => graph.name === name) ? (await openOne(name)).session : null
  try {
    let facts: GraphFacts | null = null
    for (const [index, name] of names.entries()) {
      await onStep({ step: 'opening', at: index + 1, of: names.length })
      const opened = await openOne(name)
      facts ??= opened.facts
      sessions.set(name, opened.session)
    }
    const [session] = sessions.values()
    if (session === undefined || facts === null) throw new Error('a task names no graphs')
    const areApart = [...sessions.values()].some((one) => one.rowsApart === true)
    const named = namedVariant(folder, names, { variant, session })
    return { variant: named, variants, session, sessions, facts, openBeside, rowsApart: areApart, close }
  } catch (error) {
    await close()
    throw error
  }
}

function findGraph({ graphs, recommended }: ModelFolder, name: string, variant: Variant): GraphFile {
  const own = graphs.filter((graph) => graph.name === name)
  const advice = typeof recommended === 'string' ? recommended : recommended?.[name]
  // Transformers.js' name for what Optimum writes as `_quantized`.
  const advised = advice === 'q8' ? 'int8' : advice
  const order: (string | undefined)[] = [variant, advised, ...variantSchema.options]
  for (const wanted of order) {
    const found = own.find((graph) => graph.variant === wanted)
    if (found !== undefined) return found
  }
  throw new VisionQueueError('model_unavailable', `onnx/${name}.onnx is missing.`)
}

/** The variant that was opened, or what the first graph is where none has it. A file without a suffix may hold half floats. */
function namedVariant(
  folder: ModelFolder,
  names: readonly string[],
  { variant, session }: { variant: Variant; session: Session },
): Variant {
  const opened = names.map((name) => findGraph(folder, name, variant).variant)
  const named = opened.includes(variant) ? variant : (opened[0] ?? variant)
  return named === 'fp32' && [...session.inputs.values()].some(({ type }) => type === 'float16') ? 'fp16' : named
}
