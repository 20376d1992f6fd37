import { modelManifestSchema, VisionQueueError, type ModelManifest } from '@vision-queue/jobs'
import { z } from 'zod'

import { answerBy, type Answering } from './answering.ts'
import { blankImage } from './image-preprocessing.ts'
import { findGraph, readModelFolder, type ModelLocation } from './model-folder.ts'
import { openSession, type Session } from './session.ts'
import { findTask } from './tasks/index.ts'
import type { Task } from './tasks/task.ts'

/** A model in this process's memory, warm. */
export interface LoadedModel extends Answering {
  manifest: ModelManifest
  close: () => Promise<void>
}

/**
 * Loads a version folder and runs a made-up job once alone and once in a full batch, so that no
 * caller pays for first allocations and a graph that doesn't fit its files fails here. Rejects with
 * `model_unavailable` and what is wrong.
 */
export async function loadModel({
  intraOpThreads,
  maxImagePixels,
  ...location
}: ModelLocation & { intraOpThreads: number; maxImagePixels: number }): Promise<LoadedModel> {
  const folder = await readModelFolder(location)
  const task = findTask(folder.task)
  const sessions: Session[] = []
  const openKept = async (graphPath: string): Promise<Session> => {
    const opened = await openSession(graphPath, { intraOpThreads })
    sessions.push(opened)
    return opened
  }
  const session = await openKept(folder.graphPath)
  const openGraph = async (graph: string): Promise<Session | null> => {
    const path = await findGraph(location.folder, graph)
    return path === null ? null : openKept(path)
  }
  const answering = answerBy(await task.open({ folder, session, maxImagePixels, openGraph }))
  const maxBatchSize = largestBatch(
    folder.maxBatchSize,
    [...session.inputs.values()].map(({ dims }) => dims[0] ?? null),
  )
  const manifest = modelManifestSchema.parse({
    name: folder.name,
    version: folder.version,
    task: task.name,
    variant: 'fp32',
    provider: session.provider,
    maxBatchSize,
    inputSchema: z.toJSONSchema(task.input, { io: 'input' }),
    parametersSchema: z.toJSONSchema(task.parameters, { io: 'input' }),
    outputSchema: z.toJSONSchema(task.output),
    labels: folder.labels,
  })
  await warmUp(answering, task, maxBatchSize)
  return {
    ...answering,
    manifest,
    async close() {
      await Promise.all(sessions.map(async (opened) => opened.close()))
    },
  }
}

/** A graph whose first dimension is fixed to 1 takes one job at a time; fixed to more, it can't be served. */
function largestBatch(wanted: number, fixed: readonly (number | null)[]): number {
  const sizes = fixed.filter((dim) => dim !== null)
  if (sizes.length === 0) return wanted
  if (sizes.every((dim) => dim === 1)) return 1
  throw new VisionQueueError(
    'model_unavailable',
    `onnx/model.onnx: its batch dimension is fixed to ${Math.max(...sizes)}; export it as a dynamic one.`,
  )
}

async function warmUp({ prepare, run }: Answering, task: Task, maxBatchSize: number): Promise<void> {
  try {
    const parameters = task.sampleParameters ?? {}
    const item = await prepare({ image: await blankImage(), input: task.sampleInput, parameters })
    for (const size of new Set([1, maxBatchSize])) {
      const batch = Array.from({ length: size }, () => item)
      for (const result of await run(batch)) if (result instanceof Error) throw result
    }
  } catch (error) {
    const why = error instanceof VisionQueueError && error.cause instanceof Error ? error.cause : error
    throw new VisionQueueError(
      'model_unavailable',
      `The model fails on a blank image: ${why instanceof Error ? why.message : 'no error was given'}`,
      { cause: error },
    )
  }
}
