import { toVisionQueueError } from '@vision-queue/jobs'

import { collate } from '../collate.ts'
import type { OutputTensor, Session } from '../session.ts'
import type { PreparedItem } from './task.ts'

/** The run of every task whose model answers in one pass: stack the items, run, give each its slice. */
export async function runOnce<Decoded>(
  session: Session,
  items: readonly PreparedItem<Decoded>[],
): Promise<(Decoded | Error)[]> {
  const feeds = collate(
    items.map((item) => item.rows),
    session.inputs,
  )
  const outputs = Object.entries(await session.run(feeds))
  for (const [name, { dims }] of outputs) {
    if (dims[0] !== items.length) throw new Error(`${name} has ${String(dims[0])} rows for ${items.length} items`)
  }
  return items.map((item, index) => {
    try {
      return item.decode(Object.fromEntries(outputs.map(([name, output]) => [name, slice(output, index)])))
    } catch (error) {
      return toVisionQueueError(error, 'inference_failed')
    }
  })
}

function slice({ data, dims: [rows = 1, ...dims] }: OutputTensor, index: number): OutputTensor {
  const size = data.length / rows
  return { data: data.subarray(index * size, (index + 1) * size), dims }
}
