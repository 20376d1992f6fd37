import { z } from 'zod'

import type { OutputTensor } from '../onnx/tensor.ts'
import { type Candidate, withoutOverlaps } from './box-overlap.ts'
import { openCaptionLabels } from './caption-labels.ts'
import { sigmoid } from './label-scores.ts'
import { toOriginal } from './image-place.ts'
import { lacking } from './lacking.ts'
import { openPlacedInput } from './model-inputs.ts'
import { objectsSchema } from './object-detection.ts'
import { matrixOf } from './output-rows.ts'
import { onlyImage, parseInput, type PreparedItem, type Task } from './task.ts'
import { openTextLabels } from './text-labels.ts'
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
 * Where an image shows what the caller's own labels say: to `logits` and `pred_boxes` ``[1, places, 4]``, centre and size in
 * fractions, go an image and a text for each label (OWL-ViT, text-labels.ts) or one text of all (Grounding DINO,
 * caption-labels.ts). Exports take one image a run, so that each job runs by itself.
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
    const toImageRows = openPlacedInput(model)
    // Segments are a matter of texts of several parts.
    const head = session.inputs.has('token_type_ids') ? openCaptionLabels(model) : await openTextLabels(model)
    const unit = session.inputs.has('pixel_mask') ? 'image' : 'fraction'
    const texts = new WeakMap<PreparedItem, readonly string[]>()
    return {
      async prepare(request) {
        const { candidate_labels: labels } = parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        head.check(labels)
        const { rows, place } = await toImageRows(onlyImage(request))
        const item: PreparedItem = {
          rows,
          decode(outputs) {
            const found = candidatesOf(outputs, parameters.threshold)
            const best = withoutOverlaps(found, parameters.overlap, parameters.max_objects)
            const objects = best.map(({ label: index, score, box }) => ({
              label: labels[index] ?? String(index),
              score,
              box: toOriginal(box, place, unit),
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
            answers.push(await item.decode(await head.run(item.rows, texts.get(item) ?? [])))
          } catch (error) {
            answers.push(error instanceof Error ? error : new Error('the run failed'))
          }
        }
        return answers
      },
    }
  },
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
