import { toVisionQueueError } from '@vision-queue/protocol'

import { createBatchMemory } from '../batching/batch-memory.ts'
import { collate, groupByExactLengths } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import type { blankFeed } from '../onnx/tensor.ts'
import type { PreparedItem } from './task.ts'

/**
 * The run of every task whose model answers in one pass: stack the items, run, give each its slice of
 * the named outputs. Items whose texts must not be padded run with those of their length. The pixels of one
 * batch are written over those of the batch before.
 */
export function openSingleRun(session: Session, outputNames: readonly string[]) {
  const withMemory = createBatchMemory()

  async function runTogether<Decoded>(items: readonly PreparedItem<Decoded>[]): Promise<(Decoded | Error)[]> {
    const rows = items.map((item) => item.rows)
    const run = async (blank: typeof blankFeed) => session.run(collate(rows, session.inputs, blank), outputNames)
    const outputs = Object.entries(await withMemory(run))
    for (const [name, { dims }] of outputs) {
      if (dims[0] !== items.length) throw new Error(`${name} has ${String(dims[0])} rows for ${items.length} items`)
    }
    const decoded = items.map(async (item, index) => {
      try {
        return await item.decode(
          Object.fromEntries(outputs.map(([name, output]) => [name, sliceOutput(output, index)])),
        )
      } catch (error) {
        return toVisionQueueError(error, 'inference_failed')
      }
    })
    return Promise.all(decoded)
  }

  return async <Decoded>(items: readonly PreparedItem<Decoded>[]): Promise<(Decoded | Error)[]> => {
    const groups = groupByExactLengths(items, ({ rows }) => rows)
    if (groups.length <= 1) return runTogether(items)
    const answers: (Decoded | Error)[] = []
    for (const group of groups) {
      const own = await runTogether(group.map(({ item }) => item))
      for (const [place, { index }] of group.entries()) answers[index] = own[place] ?? new Error('no answer came out')
    }
    return answers
  }
}

/** One row of an output, without the batch dimension. */
export function sliceOutput({ data, dims: [rows = 1, ...dims] }: OutputTensor, index: number): OutputTensor {
  const size = data.length / rows
  return { data: data.subarray(index * size, (index + 1) * size), dims }
}
