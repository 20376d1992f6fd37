import { basename } from 'node:path'

import { VisionQueueError } from '@vision-queue/protocol'
import { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node'

import { availableCores } from '@vision-queue/process'
import { executionOptionsSchema, type ExecutionOptions, type ProviderRefusal } from '@vision-queue/models'
import type { ExactTensor } from './exact-tensor.ts'
import { fromHalves } from './half-float.ts'
import { fromOnnxTensor, toOnnxTensor } from './onnx-tensor.ts'
import type { Feed, OutputTensor, TensorShape } from './tensor.ts'

export type { Feed, OutputTensor, TensorShape } from './tensor.ts'

/** A loaded graph. One run at a time; a run blocks this process's JavaScript thread until it is done. */
export interface Session {
  inputs: ReadonlyMap<string, TensorShape>
  outputs: ReadonlyMap<string, TensorShape>
  /** The execution provider, such as `cpu`. */
  provider: string
  /** The providers that were wanted more and could not be used. */
  refusals: readonly ProviderRefusal[]
  /** The kinds of the graph's nodes, where its file was read; see readGraphFacts. */
  operators?: ReadonlySet<string>
  /** Its graph computes one row from the others, so that each is run by itself (fixed-batch.ts). Default: rows share runs. */
  rowsApart?: boolean
  /** Computes the named outputs; without names, all. */
  run: (feeds: Record<string, Feed>, outputs?: readonly string[]) => Promise<Record<string, OutputTensor>>
  /**
   * Computes outputs in the types of the graph: each into the memory given for it, whose dimensions must be those that
   * come out, or into new memory where it is null. Any number of rows goes in one run, whatever `rowsApart` says.
   * None: a session of a test that needs none.
   */
  runInto?: (feeds: Record<string, Feed>, outputs: Record<string, Feed | null>) => Promise<Record<string, Feed>>
  /**
   * Computes the named outputs in the types of the graph, to the bit, from tensors of its types, whatever `rowsApart` says.
   * None: a session of a test that needs none.
   */
  runExact?: (feeds: Record<string, ExactTensor>, outputs: readonly string[]) => Promise<Record<string, ExactTensor>>
  /**
   * Whether all inputs and outputs have one and the same free dimension as their first, by its name in the file: the rows
   * of a batch. Default: no, or not known.
   */
  hasBatch?: boolean
  close: () => Promise<void>
}

export interface SessionOptions extends Partial<ExecutionOptions> {
  /** Threads that share one run: never more than there are cores, which costs several times the speed. */
  intraOpThreads: number
}

/**
 * Loads a graph on the first of the wanted providers that can be used: onnxruntime-node itself throws
 * at the first that can't. Weights in files beside the graph are found by ONNX Runtime. Threads don't
 * spin, as decoding needs the cores between and during runs. Rejects with `model_unavailable`.
 */
export async function openSession(graphPath: string, options: SessionOptions): Promise<Session> {
  const { intraOpThreads, ...given } = options
  const execution = executionOptionsSchema.parse(given)
  const refusals: ProviderRefusal[] = []
  const required = execution.requireProvider
  for (const provider of required === null ? execution.providers : [required]) {
    try {
      const session = await createSession(graphPath, provider, execution, intraOpThreads)
      return wrapSession(session, provider, refusals)
    } catch (error) {
      // The CPU provider itself can always be used: here it is the graph that is at fault.
      if (provider === 'cpu') throw unloadable(graphPath, error)
      refusals.push({ provider, reason: firstLine(error) })
    }
  }
  const reasons = refusals.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ')
  throw new VisionQueueError(
    'model_unavailable',
    required === null
      ? `None of the execution providers can be used (${reasons}).`
      : `The execution provider that is required can not be used (${reasons}).`,
    // A device may come back; a provider that isn't in this build will not.
    refusals.every(({ provider }) => !isBuiltIn(provider)) ? {} : { retryAfterMs: providerRetryMs },
  )
}

/** A hint alone: how soon engines are started again is the pool's to say. */
const providerRetryMs = 10_000

function isBuiltIn(provider: string): boolean {
  return listProviders().some(({ name }) => name === provider)
}

/** The names of the providers that this build of ONNX Runtime has; those not bundled need libraries of their own. */
export function listProviders(): { name: string; bundled: boolean }[] {
  return listSupportedBackends().map(({ name, bundled }) => ({ name, bundled }))
}

async function createSession(
  graphPath: string,
  provider: string,
  { deviceId, providerOptions }: ExecutionOptions,
  intraOpThreads: number,
): Promise<InferenceSession> {
  if (!isBuiltIn(provider)) {
    const known = listProviders().map(({ name }) => name)
    throw new Error(`not in this build of ONNX Runtime, which has ${known.join(', ')}`)
  }
  const takesDevice = provider === 'cuda' || provider === 'tensorrt' || provider === 'dml'
  return InferenceSession.create(graphPath, {
    executionProviders: [{ name: provider, ...(takesDevice ? { deviceId } : {}), ...providerOptions[provider] }],
    intraOpNumThreads: Math.min(intraOpThreads, availableCores()),
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  })
}

function wrapSession(session: InferenceSession, provider: string, refusals: readonly ProviderRefusal[]): Session {
  return {
    inputs: describe(session.inputMetadata),
    outputs: describe(session.outputMetadata),
    provider,
    refusals,
    async run(feeds, outputs = session.outputNames) {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)] as const)
      const fetched = await session.run(Object.fromEntries(tensors), outputs)
      return Object.fromEntries(
        Object.entries(fetched).map(([name, { data, dims }]) => [name, { data: toFloats(name, data), dims }]),
      )
    },
    async runInto(feeds, outputs) {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)] as const)
      const memory = Object.entries(outputs).map(
        ([name, feed]) => [name, feed === null ? null : toTensor(feed)] as const,
      )
      const fetched = await session.run(Object.fromEntries(tensors), Object.fromEntries(memory))
      return Object.fromEntries(
        Object.entries(fetched).map(([name, tensor]) => [name, outputs[name] ?? fromTensor(name, tensor)]),
      )
    },
    async runExact(feeds, outputs) {
      const tensors = Object.entries(feeds).map(([name, tensor]) => [name, toOnnxTensor(tensor)] as const)
      const fetched = await session.run(Object.fromEntries(tensors), outputs)
      return Object.fromEntries(Object.entries(fetched).map(([name, tensor]) => [name, fromOnnxTensor(name, tensor)]))
    },
    hasBatch: hasBatch([...session.inputMetadata, ...session.outputMetadata]),
    close: async () => session.release(),
  }
}

function hasBatch(values: readonly InferenceSession.ValueMetadata[]): boolean {
  const firsts = values.map((value) => (value.isTensor ? value.shape[0] : undefined))
  const [first] = firsts
  return typeof first === 'string' && first !== '' && firsts.every((other) => other === first)
}

function unloadable(graphPath: string, cause: unknown): VisionQueueError {
  const sentence = `onnx/${basename(graphPath)} can not be loaded by ONNX Runtime: ${firstLine(cause)}`
  return new VisionQueueError('model_unavailable', sentence, { cause })
}

/** ONNX Runtime's reason, without the names of its source files and functions. */
function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : 'no reason was given').split('\n')
  const reason = line.slice(Math.max(0, line.lastIndexOf('Failed to')))
  return reason
    .replaceAll(/\/\S*\//g, '')
    .replace(/^Load model from \S+ failed:\s*/, '')
    .slice(0, 300)
}

function toTensor(feed: Feed): Tensor {
  switch (feed.type) {
    case 'float32':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'float16': {
      const tensor = new Tensor(feed.type, feed.data, feed.dims)
      // Where Node has Float16Array the tensor wraps the bits in one, which the binding of
      // onnxruntime-node 1.30 takes for empty ("not enough space: expected ..., got 0").
      return Object.defineProperty(tensor, 'data', { value: feed.data })
    }
    case 'uint8':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'int64':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'int32':
      return new Tensor(feed.type, feed.data, feed.dims)
    case 'bool':
      return new Tensor(feed.type, feed.data, feed.dims)
    default:
      return feed satisfies never
  }
}

function fromTensor(name: string, { type, data, dims: shape }: Pick<Tensor, 'type' | 'data' | 'dims'>): Feed {
  const dims = [...shape]
  if (type === 'float32' && data instanceof Float32Array) return { type, data, dims }
  if (type === 'float16' && ArrayBuffer.isView(data)) {
    return { type, data: new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2), dims }
  }
  if (type === 'int64' && data instanceof BigInt64Array) return { type, data, dims }
  if (type === 'int32' && data instanceof Int32Array) return { type, data, dims }
  if ((type === 'uint8' || type === 'bool') && data instanceof Uint8Array) return { type, data, dims }
  throw new TypeError(`the output ${name} is ${type}, which is not supported`)
}

function toFloats(name: string, data: unknown): Float32Array {
  if (data instanceof Float32Array) return data
  if (data instanceof Uint16Array) return fromHalves(data)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number)
  if (
    data instanceof Float64Array ||
    data instanceof Int32Array ||
    data instanceof Uint8Array ||
    data instanceof Int8Array
  ) {
    return Float32Array.from(data)
  }
  // Float16Array, of Node 24 and later.
  if (ArrayBuffer.isView(data) && Object.prototype.toString.call(data) === '[object Float16Array]') {
    return fromHalves(new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2))
  }
  throw new TypeError(`the output ${name} is of a type that is not supported`)
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
