import { byteSizeOf, countOf, type ExactTensor, joinTensors, rowsOfTensor } from '../onnx/exact-tensor.ts'
import type { Session } from '../onnx/session.ts'
import { lacking } from './lacking.ts'
import { isFar } from './neighbours.ts'
import type { TaskModel } from './task.ts'
import { parseTensor, printTensor, shown, type WantedTensor } from './tensor-json.ts'

type Tensors = Record<string, ExactTensor>
type Run = (feeds: Tensors) => Promise<Tensors>

/** Tried for dimensions that may vary: many graphs take one, those of images some dozens at least. */
const triedSizes = [1, 2, 4, 8, 16, 32, 64, 128, 224]

/**
 * Tensors that the graph runs with, for its warm-up: of the shapes in model.json, or of the first size that is tried for all
 * free dimensions. `given`: those that are known. Throws `model_unavailable` where none runs.
 */
export async function findSample(
  { folder, session }: Pick<TaskModel, 'folder' | 'session'>,
  { wanted, given, run }: { wanted: ReadonlyMap<string, WantedTensor>; given: Tensors; run: Run },
): Promise<Tensors> {
  const stated = folder.settings.sample_shapes
  for (const [name, dims] of Object.entries(stated ?? {})) {
    const own = wanted.get(name)
    const fits = own?.dims.length === dims.length && own.dims.every((dim, at) => dim === null || dim === dims[at])
    if (!fits)
      throw lacking(
        folder,
        `sample_shapes in model.json of inputs as the graph has them: ${name} ${shown(own?.dims ?? [])}`,
      )
  }
  const sizes = stated === undefined && [...wanted.values()].some(({ dims }) => dims.includes(null)) ? triedSizes : [1]
  let reason: unknown
  for (const size of sizes) {
    const made = [...wanted].map(([name, { type, dims }]) => {
      // One row of a batch is enough.
      const tried = dims.map((dim, at) => dim ?? (at === 0 && session.hasBatch === true ? 1 : size))
      return [name, made01(type, stated?.[name] ?? tried, 0)] as const
    })
    const feeds = { ...Object.fromEntries(made), ...given }
    try {
      await run(feeds)
      return feeds
    } catch (error) {
      reason = error
    }
  }
  const said = reason instanceof Error ? reason.message.split('\n')[0]?.slice(0, 300) : ''
  throw lacking(
    folder,
    `sample_shapes in model.json, a shape for each input that the graph runs with; tried were ${sizes.join(', ')} for all that may vary (${said})`,
  )
}

/**
 * Whether the rows of several jobs may share a run: the graph says that all of its first dimensions are one, and two rows
 * gave the same alone and together.
 */
export async function sharesRuns(session: Session, sample: Tensors, run: Run): Promise<boolean> {
  if (session.hasBatch !== true || session.rowsApart === true) return false
  const names = Object.keys(sample)
  const rowsOf = (of: (tensor: ExactTensor) => ExactTensor): Tensors =>
    Object.fromEntries(Object.entries(sample).map(([name, tensor]) => [name, of(rowsOfTensor(tensor, 0, 1))]))
  const rows = [rowsOf((tensor) => tensor), rowsOf(({ type, dims }) => made01(type, dims, 1))]
  try {
    const joined = names.map((name) => [name, joinTensors(rows.flatMap((row) => row[name] ?? []))] as const)
    const together = await run(Object.fromEntries(joined))
    for (const [index, row] of rows.entries()) {
      const alone = await run(row)
      for (const [name, output] of Object.entries(together)) {
        const own = alone[name]
        if (own === undefined || own.dims[0] !== 1 || output.dims[0] !== 2) return false
        if (isFar(toFloats(own), toFloats(rowsOfTensor(output, index, 1)))) return false
      }
    }
    return true
  } catch {
    return false
  }
}

/** Floats of a wave; whole numbers of 0 and 1, which are places in any table. */
function made01(type: ExactTensor['type'], dims: readonly number[], seed: number): ExactTensor {
  const count = countOf(dims)
  const isFloat = type.startsWith('float')
  const data = Array.from({ length: count }, (_, index) =>
    isFloat ? Math.sin(1 + seed + index * 1.7) : (index + seed) % 2,
  )
  const shape = [...dims]
  return dims.length === 0 || count === 0
    ? { type, dims, bytes: new Uint8Array(count * byteSizeOf(type)) }
    : parseTensor({ shape, data }, { type, dims }, 'sample')
}

function toFloats(tensor: ExactTensor): { data: Float32Array; dims: readonly number[] } {
  const { data } = printTensor(tensor, 'numbers')
  return { data: Float32Array.from(Array.isArray(data) ? data : [], Number), dims: tensor.dims }
}
