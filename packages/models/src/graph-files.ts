import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { Variant } from './execution-options.ts'
import { unavailable } from './folder-files.ts'
import { readGraphFacts, type GraphFacts } from './onnx-graph.ts'

/** One ONNX file of a version: what it is for (`model`, `text_model`, ...), its variant, and where it lies. */
export interface GraphFile {
  name: string
  variant: Variant
  path: string
}

const suffixes: Record<string, Variant> = { fp16: 'fp16', int8: 'int8', quantized: 'int8' }

/** The graphs of a version folder: those in `onnx/` (Hugging Face's habit) or else in the folder itself (Optimum's). */
export async function findGraphs(folder: string): Promise<GraphFile[]> {
  for (const place of [join(folder, 'onnx'), folder]) {
    const files = await readdir(place).catch(() => [])
    const graphs = files.flatMap((file): GraphFile[] => {
      const match = /^(?<name>.+?)(?:_(?<suffix>fp16|int8|quantized))?\.onnx$/.exec(file)
      if (match?.groups === undefined) return []
      const { name = '', suffix } = match.groups
      return [{ name, variant: suffix === undefined ? 'fp32' : (suffixes[suffix] ?? 'fp32'), path: join(place, file) }]
    })
    if (graphs.length > 0) return graphs
  }
  return []
}

/** What the graph's file says; rejects with `model_unavailable` where a file of its weights is missing. */
export async function inspectGraph(path: string): Promise<GraphFacts> {
  const facts = await readGraphFacts(path)
  const beside = await readdir(dirname(path))
  const missing = facts?.externalFiles.find((file) => !file.includes('/') && !beside.includes(file))
  if (missing !== undefined) {
    throw unavailable(`onnx/${missing} is missing, where onnx/${basename(path)} keeps its weights.`)
  }
  return facts ?? { externalFiles: [], probabilities: new Map(), mixesRows: null }
}
