import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { Variant } from './execution-options.ts'
import { unavailable } from './folder-files.ts'
import { strangeContent } from './foreign-files.ts'
import { readGraphFacts, type GraphFacts } from './onnx-graph.ts'

/** One ONNX file of a version: what it is for (`model`, `text_model`, ...), its variant, and where it lies. */
export interface GraphFile {
  name: string
  variant: Variant
  path: string
}

/** The graphs of a folder, and files that are graphs in forms which no provider here runs. */
export interface FoundGraphs {
  graphs: GraphFile[]
  /** Their names, such as `model_q2.onnx`. */
  unknown: string[]
}

/**
 * The ends of file names, as Transformers.js names them. Where two are the same variant, the one further up goes
 * before the other.
 */
const suffixes: Record<string, Variant> = {
  fp16: 'fp16',
  int8: 'int8',
  quantized: 'int8',
  uint8: 'uint8',
  q4: 'q4',
  q4f16: 'q4f16',
  bnb4: 'bnb4',
}
/** Weights of two bits and of one: ONNX Runtime 1.30 has no kernels for them on a CPU. */
const unknownSuffix = /_(q1|q1f16|q2|q2f16)\.onnx$/
const fileName = new RegExp(String.raw`^(?<name>.+?)(?:_(?<suffix>${Object.keys(suffixes).join('|')}))?\.onnx$`)

/** The graphs of a version folder: those in `onnx/` (Hugging Face's habit) or else in the folder itself (Optimum's). */
export async function findGraphs(folder: string): Promise<FoundGraphs> {
  for (const place of [join(folder, 'onnx'), folder]) {
    const files = (await readdir(place).catch(() => [])).filter((file) => file.endsWith('.onnx')).toSorted()
    const unknown = files.filter((file) => unknownSuffix.test(file))
    const found = files.flatMap((file) => {
      const { name, suffix } = fileName.exec(file)?.groups ?? {}
      if (name === undefined || unknown.includes(file)) return []
      const variant = suffix === undefined ? 'fp32' : (suffixes[suffix] ?? 'fp32')
      const rank = suffix === undefined ? -1 : Object.keys(suffixes).indexOf(suffix)
      return [{ name, variant, rank, path: join(place, file) }]
    })
    const graphs = found
      .toSorted((a, b) => a.rank - b.rank)
      .filter((one, index, all) => {
        const same = all.findIndex(({ name, variant }) => name === one.name && variant === one.variant)
        return same === index
      })
      .map(({ name, variant, path }): GraphFile => ({ name, variant, path }))
    if (graphs.length > 0 || unknown.length > 0) return { graphs, unknown }
  }
  return { graphs: [], unknown: [] }
}

/** What the graph's file says; rejects with `model_unavailable` where it is none, is cut off, or a file of its weights is missing. */
export async function inspectGraph(path: string): Promise<GraphFacts> {
  const shown = `onnx/${basename(path)}`
  const strange = await strangeContent(path, shown)
  if (strange !== null) throw unavailable(`${shown} ${strange}`)
  const facts = await readGraphFacts(path)
  if (facts === null) {
    const { size } = await stat(path)
    throw unavailable(`${shown} is no ONNX file, or cut off: it has ${size} bytes. Fetch it again.`)
  }
  const beside = await readdir(dirname(path))
  for (const file of facts.externalFiles.filter((one) => !one.includes('/'))) {
    if (!beside.includes(file)) {
      throw unavailable(`onnx/${file} is missing, where ${shown} keeps its weights.`)
    }
    const instead = await strangeContent(join(dirname(path), file), `onnx/${file}`)
    if (instead !== null) throw unavailable(`onnx/${file} ${instead}`)
  }
  return facts
}
