import type { VisionQueueError } from '@vision-queue/protocol'

import type { BatchItem, BatchOutcome } from './batching/run-or-split.ts'
import type { EngineAnswer } from './engine-protocol.ts'
import type { TaskOutput } from './task-output.ts'

/** A job on its way through the engine. */
export interface Item<Prepared> extends BatchItem {
  id: string
  prepared: Prepared
  preprocessMs: number
}

/** How a job ended in its batch, as the pool is told. */
export function toAnswer<Prepared>(outcome: BatchOutcome<Item<Prepared>, TaskOutput>): EngineAnswer {
  const { id, preprocessMs } = outcome.item
  switch (outcome.kind) {
    case 'value': {
      const { value: output, runMs: inferenceMs, batchSize, times } = outcome
      return { kind: 'value', id, output, preprocessMs, inferenceMs, batchSize, ...(times && { times }) }
    }
    case 'error':
      return toErrorAnswer(id, outcome.error)
    case 'canceled':
      return { kind: 'canceled', id }
    default:
      return outcome satisfies never
  }
}

/** An error of a job, as the pool is told. */
export function toErrorAnswer(id: string, { code, detail, cause }: VisionQueueError): EngineAnswer {
  return { kind: 'error', id, error: { code, detail }, cause: describeCause(cause) }
}

/** An inner error's message for logs, cut: some hold whole tensors. */
export function describeCause(cause: unknown): string | null {
  return cause instanceof Error ? cause.message.slice(0, 500) : null
}
