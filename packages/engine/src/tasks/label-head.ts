import type { Row } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'

/** How a graph is asked for what a caller's own labels say. */
export interface LabelHead {
  /** Throws `invalid_input` for labels that the model can't take. */
  check: (labels: readonly string[]) => void
  /** `logits` ``[places, labels]`` and `pred_boxes` ``[places, 4]`` of one image, given by its rows. */
  run: (rows: Record<string, Row>, labels: readonly string[]) => Promise<Record<'logits' | 'pred_boxes', OutputTensor>>
}

/** Columns of logits, one for each label, as ``[places, labels]``. */
export function joinColumns(columns: readonly ArrayLike<number>[], places: number): OutputTensor {
  const data = new Float32Array(places * columns.length)
  for (const [index, column] of columns.entries()) {
    for (let place = 0; place < places; place += 1) data[place * columns.length + index] = column[place] ?? NaN
  }
  return { data, dims: [places, columns.length] }
}
