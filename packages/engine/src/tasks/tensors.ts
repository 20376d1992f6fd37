import { toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { blankImage } from '../images/image-preprocessing.ts'
import { collate } from '../onnx/collate.ts'
import { countOf, byteSizeOf, type ExactTensor, isExactType } from '../onnx/exact-tensor.ts'
import type { TaskOutput } from '../task-output.ts'
import { lacking } from './lacking.ts'
import { openImageInput, sampleSize } from './model-inputs.ts'
import { parseInput, type PreparedItem, type Task, type TaskModel, type TaskRequest } from './task.ts'
import { ownTensorsSchema, tensorsOutputSchema, tensorsParametersSchema, refused, tooMuch } from './tensor-forms.ts'
import { parseTensor, printTensor, shown, type WantedTensor } from './tensor-json.ts'
import { openTensorRuns, type TensorJob } from './tensor-runs.ts'
import { findSample, sharesRuns } from './tensor-sample.ts'

type Tensors = Record<string, ExactTensor>

const inputSchema = z.strictObject({
  tensors: z.record(z.string(), z.json()).default({}).describe('by name of the graph: {dtype, shape, data}'),
})
/**
 * Any graph at all: tensors in by the graph's names, tensors out, to the bit. An image may take the place of the tensors that
 * the folder's preprocessing makes of one. Jobs share runs where the graph has a batch and computes no row from others.
 */
export const tensors: Task = {
  name: 'tensors',
  images: { min: 0, max: 1 },
  input: inputSchema,
  parameters: tensorsParametersSchema,
  output: tensorsOutputSchema,
  sampleInput: {},
  async open(model) {
    const { folder, session } = model
    const inputs = numbersOnly(model)
    const outputs = [...session.outputs].filter(([, { type }]) => isExactType(type)).map(([name]) => name)
    if (outputs.length === 0)
      throw lacking(folder, `an output of numbers; the graph has: ${described(session.outputs)}`)
    const runExact = session.runExact
    if (runExact === undefined) throw new Error('the session gives no exact tensors')
    const image = await openImage(model)
    const sample = await findSample(model, {
      wanted: inputs,
      given: image.sample,
      run: async (feeds) => runExact(feeds, outputs),
    })
    const isShared = await sharesRuns(session, sample, async (feeds) => runExact(feeds, outputs))
    const schema = ownTensorsSchema(inputs, Object.keys(image.sample))
    const jobs = new WeakMap<PreparedItem, TensorJob>()
    const most = folder.settings.max_output_bytes
    const runTogether = openTensorRuns(runExact, { isShared, mostRows: folder.maxBatchSize })
    const answer = (job: TensorJob, found: Tensors | Error): TaskOutput | Error => {
      if (found instanceof Error) return toVisionQueueError(found, 'inference_failed')
      const bytes = Object.values(found).reduce((sum, tensor) => sum + tensor.bytes.length, 0)
      if (bytes > most) return tooMuch(bytes, most)
      const printed = Object.entries(found).map(([name, tensor]) => [name, printTensor(tensor, job.encoding)] as const)
      return { outputs: Object.fromEntries(printed) }
    }
    return {
      images: { min: 0, max: image.reason === null ? 1 : 0 },
      input: schema,
      sampleInput: { tensors: printedSample(sample, Object.keys(image.sample)) },
      runsAlone: !isShared,
      async prepare(request) {
        const { outputs: asked = outputs, encoding } = parseInput(
          tensorsParametersSchema,
          request.parameters,
          'parameters',
        )
        checkOutputs(model, asked)
        const feeds = await toFeeds(request, { inputs, schema, image })
        const rows = isShared ? commonRows(feeds) : null
        checkSizes(model, asked, rows, most)
        const item: PreparedItem = {
          rows: Object.fromEntries(
            Object.entries(feeds).map(([name, { dims }]) => [
              name,
              { type: 'whole', dims: isShared ? dims.slice(1) : dims },
            ]),
          ),
          decode() {
            throw new Error('tensors are answered by their own run')
          },
        }
        jobs.set(item, { feeds, outputs: asked, encoding, rows: rows ?? 1 })
        return item
      },
      async run(items) {
        const prepared = items.map((item) => {
          const job = jobs.get(item)
          if (job === undefined) throw new Error('this item was prepared by another task')
          return job
        })
        const found = await runTogether(prepared)
        return prepared.map((job, index) => answer(job, found[index] ?? new Error('no answer came out')))
      },
    }
  },
}

function described(shapes: ReadonlyMap<string, { type: string }>): string {
  return [...shapes].map(([name, { type }]) => `${name} (${type})`).join(', ')
}

/** The graph's inputs; throws `model_unavailable` for one that is no tensor of numbers. */
function numbersOnly({ folder, session }: TaskModel): Map<string, WantedTensor> {
  const inputs = [...session.inputs].map(([name, { type, dims }]) => {
    if (!isExactType(type)) throw lacking(folder, `inputs that are tensors of numbers; ${name} is ${type}`)
    return [name, { type, dims }] as const
  })
  return new Map(inputs)
}

/** How an image reaches the graph, if it does. */
interface ImageTensors {
  /** Those of a blank image, by the names that images fill. */
  sample: Tensors
  /** Why there are none; null: there are. */
  reason: string | null
  read: (image: Uint8Array) => Promise<Tensors>
}

async function openImage(model: TaskModel): Promise<ImageTensors> {
  try {
    if (model.folder.preprocessing === null) throw lacking(model.folder, 'preprocessor_config.json for images')
    const toRows = openImageInput(model)
    const read: ImageTensors['read'] = async (image) => {
      const feeds = Object.entries(collate([await toRows(image)], model.session.inputs))
      const tensorsOf = feeds.map(([name, { type, dims, data }]) => {
        return [name, { type, dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }] as const
      })
      return Object.fromEntries(tensorsOf)
    }
    return { sample: await read(await blankImage(sampleSize(model))), reason: null, read }
  } catch (error) {
    if (!(error instanceof VisionQueueError)) throw error
    // Of many graphs the preprocessing isn't an image's at all: they take tensors.
    const { detail } = error
    return {
      sample: {},
      reason: detail,
      read: async () => {
        throw new VisionQueueError('invalid_input', `input.image: expected no image (${detail})`)
      },
    }
  }
}

async function toFeeds(
  { images, input }: TaskRequest,
  {
    inputs,
    schema,
    image,
  }: { inputs: ReadonlyMap<string, WantedTensor>; schema: ReturnType<typeof ownTensorsSchema>; image: ImageTensors },
): Promise<Tensors> {
  const { tensors: sent = {} } = parseInput(schema, input, 'input')
  const [file, ...more] = images
  if (more.length > 0)
    throw new VisionQueueError('invalid_input', `The model takes one image at most; the job has ${images.length}.`)
  const ofImage = file === undefined ? {} : await image.read(file)
  const feeds = [...inputs].map(([name, wanted]) => {
    const [tensor, made] = [sent[name], ofImage[name]]
    const field = `input.tensors.${name}`
    if (tensor === undefined && made === undefined)
      throw refused(field, `${wanted.type} ${shown(wanted.dims)}, or input.image`)
    if (tensor !== undefined && made !== undefined) throw refused(field, 'none, as the image of the job fills it')
    return [name, made ?? parseTensor(tensor ?? { data: [] }, wanted, field)] as const
  })
  return Object.fromEntries(feeds)
}

/** How many rows of a batch a job has. Throws `invalid_input` where its tensors don't agree. */
function commonRows(feeds: Tensors): number {
  const [
    [
      first,
      {
        dims: [rows = 0],
      },
    ] = ['', { dims: [] }],
    ...others
  ] = Object.entries(feeds)
  for (const [name, { dims }] of others) {
    if (dims[0] !== rows)
      throw refused(`input.tensors.${name}.shape`, `${rows} rows as ${first} has (there are ${dims[0]})`)
  }
  return rows
}

function checkOutputs({ session }: TaskModel, asked: readonly string[]): void {
  for (const name of asked) {
    const type = session.outputs.get(name)?.type
    const there = [...session.outputs].filter(([, output]) => isExactType(output.type)).map(([one]) => one)
    if (type !== undefined && !isExactType(type)) {
      throw refused('parameters.outputs', `tensors of numbers: ${there.join(', ')} (${name} is ${type})`)
    }
    if (type === undefined) throw refused('parameters.outputs', `${there.join(', ')} (there is no ${name})`)
  }
}

/** Refuses what will be too much before it is run, where the graph says how large its outputs are. */
function checkSizes({ session }: TaskModel, asked: readonly string[], rows: number | null, most: number): void {
  let bytes = 0
  for (const name of asked) {
    const { type = '', dims = [] } = session.outputs.get(name) ?? {}
    const known = dims.map((dim, at) => dim ?? (at === 0 ? rows : null))
    if (isExactType(type) && known.every((dim) => dim !== null)) bytes += countOf(known) * byteSizeOf(type)
  }
  if (bytes > most) throw tooMuch(bytes, most)
}

function printedSample(sample: Tensors, ofImage: readonly string[]): Record<string, unknown> {
  const sent = Object.entries(sample).filter(([name]) => !ofImage.includes(name))
  return Object.fromEntries(
    sent.map(([name, tensor]) => {
      const { dtype, shape, data } = printTensor(tensor, tensor.bytes.length > 64 ? 'base64' : 'numbers')
      // A tensor without dimensions is sent as its number.
      return [name, { dtype, shape, data: shape.length === 0 && Array.isArray(data) ? data[0] : data }]
    }),
  )
}
