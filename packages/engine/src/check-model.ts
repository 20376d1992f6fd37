import { readFile, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { describeFields, fieldErrors, imagesOfManifest, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { availableCores } from '@vision-queue/process'
import { executionOptionsSchema, type ExecutionOptions } from '@vision-queue/models'
import { blankImage, limitImageLibrary } from './images/image-preprocessing.ts'
import { locateFolder, readModelFolder, readRemoteModel, type ModelFolder } from '@vision-queue/models'
import { loadModel, type LoadedModel } from './model.ts'
import { chooseGraphs, openGraphs } from './onnx/open-graphs.ts'
import { findTask, taskNames } from './tasks/index.ts'
import { sampleSize } from './tasks/model-inputs.ts'
import type { TensorShape } from './onnx/tensor.ts'

const usage = `Checks a version folder of a model: npm run models:check -- <folder> [options]
  --image <file>        a picture to run instead of a white one
  --variant <name>      auto (default), fp32, fp16, int8, uint8, q4, q4f16 or bnb4
  --providers <list>    execution providers, the most wanted first (default: cpu)
  --threads <number>    threads of one session run (default: 1)
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    image: { type: 'string' },
    variant: { type: 'string', default: 'auto' },
    providers: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '1' },
  },
})
const [path] = positionals
if (path === undefined) {
  process.stderr.write(usage)
  process.exit(2)
}
void tell(path)

/** Prints what `check` finds, and what stands in the way; sets the exit code. */
async function tell(given: string): Promise<void> {
  try {
    await check(given)
    print('The folder can be served.')
  } catch (error) {
    print(`PROBLEM: ${describeProblem(error)}`)
    if (error instanceof Error && error.cause instanceof Error && error instanceof VisionQueueError) {
      print(`  because: ${error.cause.message.split('\n')[0]?.slice(0, 500)}`)
    }
    process.exitCode = 1
  }
}

/** Reads, loads and runs the folder as an engine would; rejects with the first thing that stands in the way. */
async function check(given: string): Promise<void> {
  limitImageLibrary()
  const folder = resolve(given)
  if ((await stat(folder).catch(() => null))?.isDirectory() !== true) {
    throw new VisionQueueError('model_unavailable', `${given} is no folder.`)
  }
  const location = await locateFolder(folder)
  const remote = readRemoteModel(location)
  if (remote !== null) {
    const { name, version, task, engine } = remote
    print(`${name}@${version}: ${task}, run as ${engine.model} by the server at ${engine.url} (${engine.kind})`)
    print('The server is not asked here: GET /models tells whether it answers.')
    return
  }
  const execution = executionOptionsSchema.parse({ providers: values.providers.split(','), variant: values.variant })
  const intraOpThreads = Number(values.threads)
  const read = await readModelFolder(location, taskNames)
  print(`${read.name}@${read.version}: ${read.task}, graphs: ${read.graphs.map(describeFile).join(', ')}`)
  const { size, blank } = await describeGraphs(read, execution, intraOpThreads)
  const model = await loadModel({ ...location, execution, intraOpThreads, maxImagePixels: 50_000_000 })
  try {
    const { variant, provider, refusedProviders = [], maxBatchSize, labels } = model.manifest
    for (const refusal of refusedProviders) print(`provider ${refusal.provider} can not be used: ${refusal.reason}`)
    print(
      `variant ${variant}, provider ${provider}, batches of up to ${maxBatchSize}, ${labels?.length ?? 'no'} labels`,
    )
    print(`images of ${size}`)
    const { logitScale, initialLogitScale } = read
    if (logitScale === null && initialLogitScale !== null && !read.graphs.some(({ name }) => name === 'model')) {
      print(
        `NOTE: scores are made with ${initialLogitScale.toFixed(1)}, where the training began (logit_scale_init_value); write logit_scale in model.json, for OpenAI's CLIP models 100`,
      )
    }
    await runSample(model, blank)
  } finally {
    await model.close()
  }
}

function describeFile({ name, variant }: ModelFolder['graphs'][number]): string {
  return `${name} (${variant})`
}

async function describeGraphs(folder: ModelFolder, execution: ExecutionOptions, intraOpThreads: number) {
  const variant = execution.variant === 'auto' ? 'fp32' : execution.variant
  const names = chooseGraphs(folder, findTask(folder.task))
  const graphs = await openGraphs(folder, names, variant, { ...execution, intraOpThreads })
  for (const [name, session] of graphs.sessions) {
    for (const [input, shape] of session.inputs) print(`${name} input  ${input}: ${describeShape(shape)}`)
    for (const [output, shape] of session.outputs) {
      const made = name === names[0] ? graphs.facts.probabilities.get(output) : undefined
      print(`${name} output ${output}: ${describeShape(shape)}${made === undefined ? '' : `, out of a ${made}`}`)
    }
  }
  const blank = sampleSize({ folder, session: graphs.session })
  await graphs.close()
  return { size: `${blank.width} x ${blank.height} pixels`, blank }
}

function describeShape({ type, dims }: TensorShape): string {
  return `${type} [${dims.map((dim) => dim ?? 'any').join(', ')}]`
}

/** The sample's output, and how long a run takes by its batch size. */
async function runSample(model: LoadedModel, blank: { width: number; height: number }): Promise<void> {
  const { sampleInput: input, sampleParameters, manifest } = model
  const takesImage = imagesOfManifest(manifest).max > 0
  const image = values.image === undefined ? await blankImage(blank) : await readFile(values.image)
  const images = takesImage ? [image] : []
  const item = await model.prepare({ images, input, parameters: {} })
  const [output] = await model.run([item])
  if (output instanceof Error) throw output
  print(
    `sample ${JSON.stringify(input).slice(0, 500)}${takesImage ? ` on ${values.image === undefined ? 'a white picture' : basename(values.image)}` : ''}:`,
  )
  print(`  ${JSON.stringify(output).slice(0, 500)}`)
  print(`batch   ms a run   images/s   (${values.threads} of ${availableCores()} cores)`)
  // What generates for minutes is timed over a few tokens.
  const timed =
    sampleParameters === undefined ? item : await model.prepare({ images, input, parameters: sampleParameters })
  for (let size = 1; size <= model.manifest.maxBatchSize; size *= 2) {
    const batch = Array.from({ length: size }, () => timed)
    const times: number[] = []
    for (let runs = 0; runs < 5; runs += 1) {
      const started = performance.now()
      await model.run(batch)
      times.push(performance.now() - started)
    }
    const ms = times.toSorted((a, b) => a - b)[2] ?? NaN
    print(`${String(size).padStart(5)} ${ms.toFixed(2).padStart(10)} ${((1000 * size) / ms).toFixed(0).padStart(10)}`)
  }
}

function describeProblem(error: unknown): string {
  if (error instanceof VisionQueueError) return error.detail
  if (error instanceof z.ZodError) return describeFields(fieldErrors(error))
  return error instanceof Error ? error.message : String(error)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
