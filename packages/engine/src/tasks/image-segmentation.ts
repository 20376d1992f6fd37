import { z } from 'zod'

import type { OutputTensor } from '../onnx/tensor.ts'
import { toGreyPng } from '../images/grey-map.ts'
import { lacking } from './lacking.ts'
import { mapPlaceOf, maxEdgeSchema } from './map-place.ts'
import { openPlacedInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { foregroundSegment, querySegments, type Segment, semanticSegments } from './segments.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task, type TaskModel } from './task.ts'

const inputSchema = z.strictObject({})
const parametersSchema = z.strictObject({
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('segments of a lower score are left out, where the model finds them one by one'),
  max_segments: z.int().min(1).max(256).default(32).describe('how many segments at most, the largest first'),
  max_edge: maxEdgeSchema,
})
const outputSchema = z.object({
  width: z.int(),
  height: z.int(),
  segments: z.array(
    z.object({
      label: z.string(),
      score: z.number().min(0).max(1),
      mask: z.string().describe('a grey PNG of `width` x `height`, as base64: white is what belongs to the segment'),
    }),
  ),
})

/**
 * Which parts of an image have which label, each with a mask. Three kinds of graphs: `logits` ``[N, labels, h, w]``
 * (SegFormer); `class_queries_logits` ``[N, queries, labels + 1]`` with `masks_queries_logits` ``[N, queries, h, w]``
 * (MaskFormer, Mask2Former), or `logits` with `pred_masks` (DETR); and one map ``[N, 1, h, w]`` of a foreground, as
 * models give that take backgrounds away, whose mask keeps its soft edges.
 */
export const imageSegmentation: Task = {
  name: 'image-segmentation',
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: {},
  open(model) {
    const toImageRows = openPlacedInput(model)
    const head = openHead(model)
    return {
      async prepare(request) {
        parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        const { rows, place } = await toImageRows(onlyImage(request))
        const target = mapPlaceOf(place, parameters.max_edge)
        const toAnswer = async ({ label, score, map, threshold }: Segment) => {
          const mask = await toGreyPng(map, target, threshold)
          return { label: head.labels[label] ?? String(label), score, mask: mask.toString('base64') }
        }
        return {
          rows,
          async decode(outputs) {
            const largest = head.read(outputs, parameters.threshold).toSorted((a, b) => b.cells - a.cells)
            const segments = await Promise.all(largest.slice(0, parameters.max_segments).map(toAnswer))
            return { width: target.width, height: target.height, segments }
          },
        }
      },
      run: openSingleRun(model.session, head.outputs),
    }
  },
}

interface SegmentHead {
  outputs: string[]
  labels: string[]
  read: (outputs: Record<string, OutputTensor>, threshold: number) => Segment[]
}

function openHead(model: TaskModel): SegmentHead {
  const { folder, session, facts } = model
  const { labels } = folder
  for (const [classes, masks] of [
    ['class_queries_logits', 'masks_queries_logits'],
    ['logits', 'pred_masks'],
  ] as const) {
    if (!session.outputs.has(classes) || !session.outputs.has(masks)) continue
    if (labels === null) throw lacking(folder, 'id2label in config.json or `labels` in model.json')
    checkLabels(model, labels, session.outputs.get(classes)?.dims[2] ?? null, labels.length + 1)
    return {
      outputs: [classes, masks],
      labels,
      read: (outputs, threshold) => querySegments(need(outputs, classes), need(outputs, masks), threshold),
    }
  }
  const output = chooseOutput(model, ['logits', 'alphas', 'output', [...session.outputs.keys()][0] ?? ''])
  const dims = session.outputs.get(output)?.dims ?? []
  const isForeground = dims.length === 3 || dims[1] === 1 || labels === null || labels.length === 1
  if (isForeground) {
    const activation = folder.settings.activation ?? (facts.probabilities.has(output) ? 'none' : 'sigmoid')
    return {
      outputs: [output],
      labels: labels?.length === 1 ? labels : ['foreground'],
      read: (outputs) => [foregroundSegment(need(outputs, output), activation !== 'none')],
    }
  }
  checkLabels(model, labels, dims[1] ?? null, labels.length)
  return { outputs: [output], labels, read: (outputs) => semanticSegments(need(outputs, output)) }
}

function checkLabels({ folder }: TaskModel, labels: string[], count: number | null, wanted: number): void {
  if (count === null || count === wanted) return
  throw lacking(
    folder,
    `labels that fit the graph: config.json or model.json have ${labels.length}, the graph ${count}`,
  )
}

function need(outputs: Record<string, OutputTensor>, name: string): OutputTensor {
  const tensor = outputs[name]
  if (tensor === undefined) throw new Error(`no ${name} came out`)
  return tensor
}
