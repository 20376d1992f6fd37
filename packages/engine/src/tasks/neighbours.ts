import { collate, type Row } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { sliceOutput } from './single-run.ts'

/**
 * How far two values of an output may lie apart, as a share of its largest value. Matrix products of other sizes
 * add in another order: 1e-6 in float32, 1e-3 in float16. A graph that mixes rows or sees the padding is
 * further off than this; if one isn't, no caller notices.
 */
const allowance = 0.004

/** What is read of a run for one of its items. */
export interface ReadRow {
  output: string
  /** Default: its row of the output. */
  rowOf?: (output: OutputTensor, index: number) => OutputTensor
}

/**
 * Runs items alone and together. True where an output of one of them changes, beyond rounding: because the graph
 * computes a row from the others, or sees what fills up a shorter text. Default: all outputs that have a row
 * for each item.
 */
export async function changeTogether(
  session: Session,
  items: readonly Record<string, Row>[],
  read?: ReadRow,
): Promise<boolean> {
  const names = read === undefined ? undefined : [read.output]
  const rowOf = read?.rowOf ?? sliceOutput
  const run = async (some: readonly Record<string, Row>[]): Promise<Map<string, OutputTensor>[]> => {
    const outputs = Object.entries(await session.run(collate(some, session.inputs), names))
    const withRows = outputs.filter(([, { dims }]) => read !== undefined || dims[0] === some.length)
    return some.map((_, index) => new Map(withRows.map(([name, output]) => [name, rowOf(output, index)])))
  }
  const together = await run(items)
  for (const [index, beside] of together.entries()) {
    const [alone] = await run(items.slice(index, index + 1))
    if ([...beside].some(([name, output]) => isFar(alone?.get(name) ?? output, output))) return true
  }
  return false
}

/** Whether the values differ by more than rounding. */
export function isFar(alone: OutputTensor, beside: OutputTensor): boolean {
  if (alone.dims.join() !== beside.dims.join()) return true
  const largest = alone.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return alone.data.some((value, index) => {
    const other = beside.data[index] ?? NaN
    return !Object.is(value, other) && !(Math.abs(value - other) <= allowance * largest)
  })
}
