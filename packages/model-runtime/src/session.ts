import { availableParallelism } from 'node:os'
import { basename } from 'node:path'

import { VisionQueueError } from '@vision-queue/jobs'
import { InferenceSession, Tensor } from 'onnxruntime-node'

/** What the graph says of one of its inputs or outputs; a dimension that may vary is null. */
export interface TensorShape {
  type: string
  dims: (number | null)[]
}

/** One input of a session run. */
export type Feed =
  | { type: 'float32'; data: Float32Array; dims: number[] }
  | { type: 'int64'; data: BigInt64Array; dims: number[] }
  | { type: 'bool'; data: Uint8Array; dims: number[] }

/** One output of a session run. */
export interface OutputTensor {
  data: Float32Array
  dims: readonly number[]
}

/** A loaded graph. One run at a time; a run blocks this process's JavaScript thread until it is done. */
export interface Session {
  inputs: ReadonlyMap<string, TensorShape>
  outputs: ReadonlyMap<string, TensorShape>
  /** The execution provider, such as `cpu`. */
  provider: string
  run: (feeds: Record<string, Feed>) => Promise<Record<string, OutputTensor>>
  close: () => Promise<void>
}

/**
 * Loads a graph. `intraOpThreads` is how many threads share one run: never more than there are cores,
 * which costs several times the speed. Their spinning is off, as decoding needs the cores between
 * and during runs. Rejects with `model_unavailable`.
 */
export async function openSession(graphPath: string, options: { intraOpThreads: number }): Promise<Session> {
  const provider = 'cpu'
  let session: InferenceSession
  try {
    session = await InferenceSession.create(graphPath, {
      executionProviders: [provider],
      intraOpNumThreads: Math.min(options.intraOpThreads, availableParallelism()),
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    })
  } catch (error) {
    throw new VisionQueueError('model_unavailable', `onnx/${basename(graphPath)} can not be loaded by ONNX Runtime.`, {
      cause: error,
    })
  }
  return {
    inputs: describe(session.inputMetadata),
    outputs: describe(session.outputMetadata),
    provider,
    async run(feeds) {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)] as const)
      const fetched = await session.run(Object.fromEntries(tensors))
      return Object.fromEntries(
        Object.entries(fetched).map(([name, { data, dims }]) => {
          if (!(data instanceof Float32Array)) throw new TypeError(`the output ${name} is not float32`)
          return [name, { data, dims }]
        }),
      )
    },
    close: async () => session.release(),
  }
}

function toTensor(feed: Feed): Tensor {
  switch (feed.type) {
    case 'float32':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'int64':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'bool':
      return new Tensor(feed.type, feed.data, feed.dims)
    default:
      return feed satisfies never
  }
}

function describe(metadata: readonly InferenceSession.ValueMetadata[]): Map<string, TensorShape> {
  return new Map(
    metadata.map((value) => [
      value.name,
      value.isTensor
        ? { type: value.type, dims: value.shape.map((dim) => (typeof dim === 'number' ? dim : null)) }
        : { type: 'not a tensor', dims: [] },
    ]),
  )
}
