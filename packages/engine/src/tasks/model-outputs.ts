import type { OutputTensor } from '../onnx/tensor.ts'
import { lacking } from './lacking.ts'
import type { TaskModel } from './task.ts'
import { topScores, type Activation } from './top-scores.ts'

/** The output that a task reads: model.json's, or the first of the usual names that the graph has, or its only one. */
export function chooseOutput({ folder, session }: TaskModel, usual: readonly string[]): string {
  const names = [...session.outputs.keys()]
  const wanted = folder.settings.output
  const chosen = wanted ?? usual.find((name) => names.includes(name)) ?? (names.length === 1 ? names[0] : undefined)
  if (chosen !== undefined && names.includes(chosen)) return chosen
  const what =
    wanted === undefined
      ? `an output named ${usual.join(' or ')}, or \`output\` in model.json`
      : `output in model.json (${wanted}) to be one of the graph's`
  throw lacking(folder, `${what}; the graph has: ${names.join(', ')}`)
}

/** An output of scores, one for each label. */
export interface ScoreHead {
  /** Its name in the graph. */
  output: string
  labels: string[]
  /** The `count` likeliest labels of an item's outputs. Throws where a score is no number. */
  top: (outputs: Record<string, OutputTensor>, count: number) => { label: string; score: number }[]
}

/**
 * The output ``[N, labels]`` (or with dimensions of 1 behind) and what its numbers are: logits, unless
 * model.json's `activation` or the graph's own last node say that they are probabilities already.
 */
export function openScores(model: TaskModel): ScoreHead {
  const { folder, session, facts } = model
  const output = chooseOutput(model, ['logits'])
  const dims = session.outputs.get(output)?.dims.slice(1) ?? []
  if (folder.labels === null) throw lacking(folder, 'id2label in config.json or `labels` in model.json')
  const { labels } = folder
  const count = dims.reduce<number | null>(
    (product, dim) => (product === null || dim === null ? null : product * dim),
    1,
  )
  if (count !== null && count !== labels.length) {
    throw lacking(folder, `as many labels in config.json or model.json (${labels.length}) as ${output} has (${count})`)
  }
  const activation: Activation =
    folder.settings.activation ??
    (facts.probabilities.has(output) ? 'none' : folder.scoresApart ? 'sigmoid' : 'softmax')
  return {
    output,
    labels,
    top(outputs, wanted) {
      const tensor = outputs[output]
      if (tensor === undefined) throw new Error(`no ${output} came out`)
      return topScores(tensor.data, labels, wanted, activation)
    },
  }
}
