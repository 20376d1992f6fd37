import type { OutputTensor } from '../onnx/tensor.ts'
import type { GreyMap } from '../images/grey-map.ts'
import { sigmoid, softmax } from './label-scores.ts'

/** A part of an image that has one label. */
export interface Segment {
  /** Its place in the list of labels. */
  label: number
  /** How sure its pixels are of it on average, 0..1. */
  score: number
  /** 0 to 255: how sure each cell is of it. */
  map: GreyMap
  /** Cells that are more sure of it than of anything else. */
  cells: number
  /** What belongs to it: from this value on; null: its values are the answer, as of a soft edge. */
  threshold: number | null
}

/** Semantic segmentation: logits ``[labels, h, w]``, each cell is its likeliest label's. */
export function semanticSegments({ data, dims }: OutputTensor): Segment[] {
  const [labels = 1, height = 1, width = 1] = dims.slice(-3)
  const size = width * height
  const owner = new Int32Array(size)
  const certainty = new Float32Array(size)
  for (let cell = 0; cell < size; cell += 1) {
    let best = 0
    for (let label = 1; label < labels; label += 1) {
      if (at(data, label * size + cell) > at(data, best * size + cell)) best = label
    }
    const most = at(data, best * size + cell)
    let sum = 0
    for (let label = 0; label < labels; label += 1) sum += Math.exp(at(data, label * size + cell) - most)
    owner[cell] = best
    certainty[cell] = 1 / sum
  }
  return segmentsOf(owner, certainty, { width, height })
}

/**
 * Queries of the MaskFormer kind: `classes` ``[queries, labels + 1]``, the last one is "nothing", and `masks`
 * ``[queries, h, w]``, logits. A cell belongs to the query whose score times its own mask is highest there, if that
 * query is at least `threshold` sure of its label and the mask has the cell.
 */
export function querySegments(classes: OutputTensor, masks: OutputTensor, threshold: number): Segment[] {
  const [queries = 1, columns = 1] = classes.dims.slice(-2)
  const [height = 1, width = 1] = masks.dims.slice(-2)
  const size = width * height
  const found = Array.from({ length: queries }, (_, query) => {
    const scores = softmax(classes.data.subarray(query * columns, (query + 1) * columns)).slice(0, -1)
    const label = scores.reduce((best, score, index) => (score > (scores[best] ?? 0) ? index : best), 0)
    return { query, label, score: scores[label] ?? 0 }
  }).filter(({ score }) => score >= threshold)
  const owner = new Int32Array(size).fill(-1)
  const certainty = new Float32Array(size)
  for (const [index, { query, score }] of found.entries()) {
    for (let cell = 0; cell < size; cell += 1) {
      const part = sigmoid(at(masks.data, query * size + cell))
      if (part < 0.5 || score * part <= (certainty[cell] ?? 0)) continue
      owner[cell] = index
      certainty[cell] = score * part
    }
  }
  return segmentsOf(owner, certainty, { width, height }).flatMap((segment) => {
    const own = found[segment.label]
    return own === undefined ? [] : [{ ...segment, label: own.label, score: own.score }]
  })
}

/** One map of how much each cell belongs to the foreground, 0..1 or, with `isLogits`, before a sigmoid. */
export function foregroundSegment({ data, dims }: OutputTensor, isLogits: boolean): Segment {
  const [height = 1, width = 1] = dims.slice(-2)
  if (data.length !== width * height) throw new Error(`the output is [${dims.join(', ')}], no map of one image`)
  let [sum, cells] = [0, 0]
  const values = Uint8Array.from(data, (_, cell) => {
    const part = isLogits ? sigmoid(at(data, cell)) : Math.min(1, Math.max(0, at(data, cell)))
    if (part >= 0.5) {
      sum += part
      cells += 1
    }
    return Math.round(part * 255)
  })
  return { label: 0, score: cells === 0 ? 0 : sum / cells, map: { width, height, values }, cells, threshold: null }
}

/** One segment for each owner that has cells, with the owner's number as its label; -1 owns nothing. */
function segmentsOf(
  owner: Int32Array,
  certainty: Float32Array,
  { width, height }: { width: number; height: number },
): Segment[] {
  const all = new Map<number, { cells: number; sum: number; values: Uint8Array }>()
  for (const [cell, index] of owner.entries()) {
    if (index < 0) continue
    const segment = all.get(index) ?? { cells: 0, sum: 0, values: new Uint8Array(owner.length) }
    all.set(index, segment)
    segment.cells += 1
    segment.sum += certainty[cell] ?? 0
    segment.values[cell] = 255
  }
  return [...all].map(([label, { cells, sum, values }]) => ({
    label,
    cells,
    score: Math.min(1, sum / cells),
    map: { width, height, values },
    threshold: 128,
  }))
}

function at(values: Float32Array, index: number): number {
  const value = values[index] ?? NaN
  if (Number.isNaN(value)) throw new Error('a value of a mask is not a number')
  return value
}
