import { modelManifestSchema, type ModelManifest, type VariantChoice } from '@vision-queue/protocol'
import { z } from 'zod'

import { answerBy, type Answering, type PreparedJob } from './answering.ts'
import { executionOptionsSchema, type ExecutionOptions, type Variant } from '@vision-queue/models'
import { fixedBatchSize } from './onnx/fixed-batch.ts'
import { type OnLoadStep, untold } from './load-step.ts'
import { fingerprintFolder } from '@vision-queue/models'
import { checkDigest } from '@vision-queue/models'
import { defaultHeavyImageBytes } from './images/heavy-images.ts'
import { blankImage, defaultShrinkAbovePixels } from './images/image-preprocessing.ts'
import { readModelFolder, type ModelFolder, type ModelLocation } from '@vision-queue/models'
import { readInt8Instructions } from '@vision-queue/process'
import { chooseGraphs, isDynamic, listVariants, openGraphs, type OpenGraphs } from './onnx/open-graphs.ts'
import { padBatches, paddedSizes } from './onnx/padded-batch.ts'
import type { BatchRun } from './batching/run-or-split.ts'
import type { Session } from './onnx/session.ts'
import { findTask, taskNames } from './tasks/index.ts'
import { defaultFeatureCacheBytes } from './chat/feature-cache.ts'
import { sampleSize } from './tasks/model-inputs.ts'
import { changeTogether } from './tasks/neighbours.ts'
import type { OwnAnnouncement, Task, TaskRequest } from './tasks/task.ts'
import { loadOwnTask } from './own-task.ts'
import { openChosen } from './variant-choice.ts'
import { defaultWarmUpLimitMs, warmUp, type WarmUp } from './warm-up.ts'

/** Of keys and values; a conversation of 4,000 tokens takes some 300 MB in a model of half a billion weights. */
const defaultGenerationCacheBytes = 1024 ** 3

/** A model in this process's memory, warm. */
export interface LoadedModel extends Answering {
  manifest: ModelManifest
  /** What the warm-up measured; none where answers take many runs. */
  warmUpRuns: readonly BatchRun[]
  /** An input that it takes, beside as many images as it takes at least, or one. */
  sampleInput: Record<string, unknown>
  /** Parameters that keep a run of the sample short; undefined: it is short as it is. */
  sampleParameters: Record<string, unknown> | undefined
  close: () => Promise<void>
}

export interface LoadOptions extends ModelLocation {
  intraOpThreads: number
  maxImagePixels: number
  /** JPEGs and WebPs of more pixels are shrunk while they are read. Default: 1 million. */
  shrinkAbovePixels?: number | undefined
  /** Images of which the decoder holds more at a time are decoded one after the other. Default: 128 MiB. */
  heavyImageBytes?: number | undefined
  /** The most bytes of images' features that are kept for later questions about them. Default: 256 MiB. */
  featureCacheBytes?: number | undefined
  /** The most bytes of keys and values that running conversations have. Default: 1 GiB. */
  generationCacheBytes?: number | undefined
  /** After so long the warm-up tries no larger batch. Default: 60,000 ms. */
  warmUpLimitMs?: number | undefined
  /** Whether code in the folder may be its task. Default: no. */
  modelCode?: boolean | undefined
  execution?: Partial<ExecutionOptions> | undefined
}

/**
 * Loads a version folder and runs a made-up job once alone and once in a full batch, so that no
 * caller pays for first allocations and a graph that doesn't fit its files fails here. Rejects with
 * `model_unavailable` and what is wrong.
 */
export async function loadModel(
  {
    intraOpThreads,
    maxImagePixels,
    shrinkAbovePixels: shrinkByDefault = defaultShrinkAbovePixels,
    heavyImageBytes = defaultHeavyImageBytes,
    featureCacheBytes = defaultFeatureCacheBytes,
    generationCacheBytes = defaultGenerationCacheBytes,
    modelCode = false,
    warmUpLimitMs = defaultWarmUpLimitMs,
    execution: given = {},
    ...location
  }: LoadOptions,
  onStep: OnLoadStep = untold,
): Promise<LoadedModel> {
  await onStep({ step: 'reading', at: null, of: null })
  const execution = executionOptionsSchema.parse(given)
  const folder = await readModelFolder(location, taskNames)
  const task = folder.code === null ? findTask(folder.task) : await loadOwnTask(folder, location.folder, modelCode)
  const shrinkAbovePixels = folder.settings.shrink_above_pixels ?? shrinkByDefault
  const limits = { maxImagePixels, shrinkAbovePixels, heavyImageBytes, featureCacheBytes, generationCacheBytes }
  for (const [file, digest] of Object.entries(folder.settings.sha256)) {
    await checkDigest({ folder: location.folder, shownAs: `${folder.name}/${folder.version}/${file}`, file }, digest)
  }
  const names = chooseGraphs(folder, task)

  const machine = {
    there: listVariants(folder, names),
    int8Instructions: await readInt8Instructions(),
    int8IsDynamic: await isDynamic(folder, names, 'int8'),
  }
  const open = async (variant: Variant, rowsApart = false): Promise<WarmModel> => {
    const graphs = await openGraphs(folder, names, variant, { ...execution, intraOpThreads, rowsApart, onStep })
    try {
      const opened = await task.open({ folder, ...graphs, ...limits })
      const own = announcedBy(task, opened)
      const answering = answerBy(opened, graphs.session)
      const size = sampleSize({ folder, session: graphs.session })
      const sample = async (background?: string): Promise<PreparedJob> =>
        answering.prepare(await sampleJob(own, size, background))
      if (await mixesRows(graphs.session, sample)) {
        await graphs.close()
        return await open(variant, true)
      }
      const prepares = graphs.session.provider !== 'cpu' && answering.openSteps === undefined
      const isAlone = graphs.rowsApart || own.runsAlone === true
      const wantedBatchSize = isAlone ? 1 : Math.min(folder.maxBatchSize, fixedBatchSize(graphs.session) ?? Infinity)
      const warm = await warmUp(answering.run, sample, {
        wantedBatchSize,
        timedRuns: answering.openSteps === undefined ? 1 : 0,
        limitMs: warmUpLimitMs,
        onStep,
        preparedSizes: prepares ? paddedSizes(wantedBatchSize) : null,
      })
      const run = prepares ? padBatches(answering.run, paddedSizes(warm.maxBatchSize)) : answering.run
      const { provider } = graphs.session
      return { graphs, provider, own, answering: { ...answering, run }, close: graphs.close, ...warm }
    } catch (error) {
      await graphs.close()
      throw error
    }
  }
  const { model, choice } = await openChosen(machine, { execution, ofModel: folder.settings.variant }, open)
  const manifest = manifestOf(folder, model, { task, choice, fingerprint: await fingerprintFolder(location.folder) })
  const { answering, runs, close } = model
  const warmUpRuns = answering.openSteps === undefined ? runs : []
  const { sampleInput, sampleParameters } = model.own
  return { ...answering, manifest, warmUpRuns, sampleInput, sampleParameters, close }
}

function manifestOf(
  folder: ModelFolder,
  { graphs, own, maxBatchSize }: WarmModel,
  { task, choice, fingerprint }: { task: Task; choice: VariantChoice | undefined; fingerprint: string },
): ModelManifest {
  return modelManifestSchema.parse({
    name: folder.name,
    version: folder.version,
    task: task.name,
    variant: graphs.variant,
    graphVariants: Object.fromEntries(graphs.variants),
    choice,
    provider: graphs.session.provider,
    refusedProviders: graphs.session.refusals,
    maxBatchSize,
    images: own.images,
    inputSchema: z.toJSONSchema(own.input, { io: 'input' }),
    parametersSchema: z.toJSONSchema(own.parameters, { io: 'input' }),
    outputSchema: z.toJSONSchema(task.output),
    fingerprint,
    cacheable: folder.settings.cache,
    labels: folder.labels,
  })
}

/** What is announced of a model: its own where it has any, else its task's. */
function announcedBy(task: Task, own: OwnAnnouncement) {
  return {
    images: own.images ?? task.images,
    input: own.input ?? task.input,
    parameters: own.parameters ?? task.parameters,
    sampleInput: own.sampleInput ?? task.sampleInput,
    sampleParameters: task.sampleParameters,
    runsAlone: own.runsAlone ?? task.runsAlone,
  }
}

/** A made-up job on images of one colour. */
async function sampleJob(
  { images, sampleInput, sampleParameters = {} }: ReturnType<typeof announcedBy>,
  size: { height: number; width: number },
  background: string | undefined,
): Promise<TaskRequest> {
  const { min, max } = images ?? { min: 1, max: 1 }
  const blanks = Array.from({ length: Math.max(min, Math.min(1, max)) }, async () => blankImage(size, background))
  return { images: await Promise.all(blanks), input: sampleInput, parameters: sampleParameters }
}

/** Whether two samples change each other's outputs in a run. What fails here is the warm-up's to report. */
async function mixesRows(session: Session, sample: (background: string) => Promise<PreparedJob>): Promise<boolean> {
  if (session.rowsApart === true) return false
  try {
    const jobs = await Promise.all([sample('#ffffff'), sample('#000000')])
    const rows = jobs.flatMap(({ rows: one }) => (one === undefined ? [] : [one]))
    const isWhole = [...session.inputs.keys()].every((name) => rows[0] !== undefined && name in rows[0])
    return isWhole && (await changeTogether(session, rows))
  } catch {
    return false
  }
}

interface WarmModel extends WarmUp {
  graphs: OpenGraphs
  provider: string
  own: ReturnType<typeof announcedBy>
  answering: Answering
  close: () => Promise<void>
}
