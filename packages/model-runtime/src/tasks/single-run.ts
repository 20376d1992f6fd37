import { toVisionQueueError } from '@vision-queue/jobs'

import { collate } from '../collate.ts'
import type { OutputTensor, Session } from '../session.ts'
import type { PreparedItem } from './task.ts'

/**
 * The run of every task whose model answers in one pass: stack the items, run, give each its slice of
 * the named outputs.
 */
export async function runOnce<Decoded>(
  session: Session,
  items: readonly PreparedItem<Decoded>[],
  outputNames: readonly string[],
): Promise<(Decoded | Error)[]> {
  const feeds = collate(
    items.map((item) => item.rows),
    session.inputs,
  )
  const outputs = Object.entries(await session.run(feeds, outputNames))
  for (const [name, { dims }] of outputs) {
    if (dims[0] !== items.length) throw new Error(`${name} has ${String(dims[0])} rows for ${items.length} items`)
  }
  return items.map((item, index) => {
    try {
      return item.decode(Object.fromEntries(outputs.map(([name, output]) => [name, sliceOutput(output, index)])))
    } catch (error) {
      return toVisionQueueError(error, 'inference_failed')
    }
  })
}

/** One row of an output, without the batch dimension. */
export function sliceOutput({ data, dims: [rows = 1, ...dims] }: OutputTensor, index: number): OutputTensor {
  const size = data.length / rows
  return { data: data.subarray(index * size, (index + 1) * size), dims }
}
