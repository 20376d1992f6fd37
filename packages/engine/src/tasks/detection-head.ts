import type { OutputTensor } from '../onnx/tensor.ts'
import type { Candidate } from './box-overlap.ts'
import { bestOf, sigmoids, softmax } from './label-scores.ts'
import type { BoxUnit } from './image-place.ts'
import { lacking } from './lacking.ts'
import { matrixOf } from './output-rows.ts'
import type { TaskModel } from './task.ts'
import { openToldHead, toBox } from './told-head.ts'

/** How a graph's outputs tell of objects. */
export interface DetectionHead {
  /** The outputs that are read. */
  outputs: string[]
  labels: string[]
  unit: BoxUnit
  /** How much boxes of one label may overlap, 0..1; null: the graph has seen to it. */
  overlap: number | null
  /** Everything with a score of at least `threshold`, in no order. `outputs` are one image's. */
  read: (outputs: Record<string, OutputTensor>, threshold: number) => Candidate[]
}

/**
 * Heads of the DETR kind are known by their outputs: `logits` ``[N, queries, labels]``, a sigmoid each (RT-DETR, D-FINE,
 * deformable ones), or ``[N, queries, labels + 1]``, a softmax whose last one is "nothing" (DETR, YOLOS); and
 * `pred_boxes` ``[N, queries, 4]``, centre and size in fractions of the image. Others are told by model.json's
 * `detection`.
 */
export function openDetectionHead(model: TaskModel): DetectionHead {
  const { folder, session } = model
  if (folder.labels === null) throw lacking(folder, 'id2label in config.json or `labels` in model.json')
  const { labels } = folder
  if (folder.settings.detection !== undefined) return openToldHead(model, folder.settings.detection, labels)
  const [logits, boxes] = ['logits', 'pred_boxes']
  if (!session.outputs.has(logits) || !session.outputs.has(boxes)) {
    const there = [...session.outputs.keys()].join(', ')
    throw lacking(
      folder,
      `outputs named logits and pred_boxes, or \`detection\` in model.json; the graph has: ${there}`,
    )
  }
  const count = session.outputs.get(logits)?.dims[2] ?? null
  if (count !== null && count !== labels.length && count !== labels.length + 1) {
    throw lacking(folder, `as many labels as logits has, or one less (${labels.length} labels, ${count} logits)`)
  }
  return {
    outputs: [logits, boxes],
    labels,
    // Whoever is told which pixels are the image's counts in these (DETR and its kin).
    unit: session.inputs.has('pixel_mask') ? 'image' : 'fraction',
    overlap: null,
    read(outputs, threshold) {
      const scores = matrixOf(outputs, logits)
      const isSoftmax = scores.columns === labels.length + 1
      if (!isSoftmax && scores.columns !== labels.length)
        throw new Error(`${scores.columns} logits for ${labels.length} labels`)
      const places = matrixOf(outputs, boxes)
      return scores.rows.flatMap((row, index) => {
        const likely = isSoftmax ? bestOf(softmax(row), labels.length) : sigmoids(row)
        const box = toBox(places.rows[index] ?? [], 'cxcywh')
        return likely.filter(({ score }) => score >= threshold).map(({ label, score }) => ({ label, score, box }))
      })
    },
  }
}
