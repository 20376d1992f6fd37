import { z } from 'zod'

import { collate, groupByExactLengths, type Row } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import { type Candidate, withoutOverlaps } from './box-overlap.ts'
import { sigmoid } from './label-scores.ts'
import { toOriginal } from './image-place.ts'
import { lacking } from './lacking.ts'
import { openPlacedInput, sampleRows } from './model-inputs.ts'
import { objectsSchema } from './object-detection.ts'
import { matrixOf } from './output-rows.ts'
import { sliceOutput } from './single-run.ts'
import { onlyImage, parseInput, type PreparedItem, type Task, type TaskModel } from './task.ts'
import { openTextInput, type TextInput } from './text-input.ts'
import { toBox } from './told-head.ts'

const label = 'a label of 1 to 256 characters'
const inputSchema = z.strictObject({
  candidate_labels: z
    .array(z.string(label).trim().max(256, label).regex(/\S/, label), '1 to 32 labels')
    .min(1, '1 to 32 labels')
    .max(32, '1 to 32 labels')
    .refine((labels) => new Set(labels).size === labels.length, 'no label twice'),
})
const parametersSchema = z.strictObject({
  threshold: z.number().min(0).max(1).default(0.1).describe('objects of a lower score are left out'),
  max_objects: z.int().min(1).max(1000).default(100).describe('how many objects at most, the surest first'),
  overlap: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('of boxes of one label that overlap by more (intersection over union) the best one stays'),
})
/**
 * Where an image shows what the caller's own labels say, by a graph of the OWL-ViT kind: an image and a text for each
 * label to `logits` ``[1, places, labels]`` and `pred_boxes` ``[1, places, 4]``, centre and size in fractions. Its
 * exports take one image a run, so that each job runs by itself.
 */
export const zeroShotObjectDetection: Task = {
  name: 'zero-shot-object-detection',
  runsAlone: true,
  input: inputSchema,
  parameters: parametersSchema,
  output: objectsSchema,
  sampleInput: { candidate_labels: ['one', 'two'] },
  async open(model) {
    const { folder, session } = model
    const there = [...session.outputs.keys()]
    for (const output of ['logits', 'pred_boxes']) {
      if (!there.includes(output))
        throw lacking(folder, `an output named ${output}; the graph has: ${there.join(', ')}`)
    }
    if (session.inputs.has('token_type_ids')) {
      throw lacking(folder, 'a text for each label, as OWL-ViT has them; this graph takes one text of all labels')
    }
    const toImageRows = openPlacedInput(model)
    const toTokens = await openTexts(model)
    const texts = new WeakMap<PreparedItem, readonly string[]>()
    return {
      async prepare(request) {
        const { candidate_labels: labels } = parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        for (const text of labels) toTokens(text)
        const { rows, place } = await toImageRows(onlyImage(request))
        const item: PreparedItem = {
          rows,
          decode(outputs) {
            const found = candidatesOf(outputs, parameters.threshold)
            const best = withoutOverlaps(found, parameters.overlap, parameters.max_objects)
            const objects = best.map(({ label: index, score, box }) => ({
              label: labels[index] ?? String(index),
              score,
              box: toOriginal(box, place, 'fraction'),
            }))
            return { objects }
          },
        }
        texts.set(item, labels)
        return item
      },
      async run(items) {
        const answers: (Awaited<ReturnType<PreparedItem['decode']>> | Error)[] = []
        for (const item of items) {
          try {
            answers.push(await item.decode(await runOne(model, toTokens, item.rows, texts.get(item) ?? [])))
          } catch (error) {
            answers.push(error instanceof Error ? error : new Error('the run failed'))
          }
        }
        return answers
      },
    }
  },
}

/** Texts are filled up to the longest beside them only where that was seen to change nothing. */
async function openTexts(model: TaskModel): Promise<TextInput> {
  const besides = async (): Promise<Record<string, Row>> =>
    sampleRows(model, async (image) => (await openPlacedInput(model)(image)).rows)
  return openTextInput(model, {
    output: 'logits',
    besides,
    rowOf: ({ data, dims: [, places = 1, columns = 1] }, index) => ({
      data: Float32Array.from({ length: places }, (_, place) => data[place * columns + index] ?? NaN),
      dims: [places],
    }),
  })
}

/** The outputs for one image and its labels, in their order. Labels whose texts must not be padded run with those of their length. */
async function runOne(
  { session }: TaskModel,
  toTokens: TextInput,
  rows: Record<string, Row>,
  labels: readonly string[],
): Promise<Record<string, OutputTensor>> {
  const columns: Float32Array[] = []
  let boxes: OutputTensor | undefined
  for (const group of groupByExactLengths(labels, toTokens)) {
    const feeds = {
      ...collate([rows], session.inputs),
      ...collate(
        group.map(({ item }) => toTokens(item)),
        session.inputs,
      ),
    }
    const outputs = await session.run(feeds, ['logits', 'pred_boxes'])
    const { logits, pred_boxes: found } = outputs
    if (logits === undefined || found === undefined) throw new Error('no logits or boxes came out')
    boxes = sliceOutput(found, 0)
    const [images = 1, places = 1, count = 1] = logits.dims
    // A graph whose inputs are all fixed to one row gives one for each label.
    if (images * count !== group.length)
      throw new Error(`logits is [${logits.dims.join(', ')}] for ${group.length} labels`)
    for (const [column, { index }] of group.entries()) {
      const start = count === 1 ? column * places : column
      columns[index] = Float32Array.from({ length: places }, (_, place) => logits.data[start + place * count] ?? NaN)
    }
  }
  if (boxes === undefined) throw new Error('there are no labels')
  const places = boxes.dims[0] ?? 1
  const data = new Float32Array(places * columns.length)
  for (const [index, column] of columns.entries()) {
    for (let place = 0; place < places; place += 1) data[place * columns.length + index] = column[place] ?? NaN
  }
  return { logits: { data, dims: [places, columns.length] }, pred_boxes: boxes }
}

function candidatesOf(outputs: Record<string, OutputTensor>, threshold: number): Candidate[] {
  const boxes = matrixOf(outputs, 'pred_boxes')
  return matrixOf(outputs, 'logits').rows.flatMap((row, place) =>
    Array.from(row).flatMap((logit, index): Candidate[] => {
      const score = sigmoid(logit)
      if (Number.isNaN(score)) throw new Error('a score is not a number')
      return score < threshold ? [] : [{ label: index, score, box: toBox(boxes.rows[place] ?? [], 'cxcywh') }]
    }),
  )
}
