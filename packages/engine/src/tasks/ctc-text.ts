import { VisionQueueError } from '@vision-queue/protocol'

import type { OutputTensor } from '../onnx/tensor.ts'
import { lacking } from './lacking.ts'
import { openImageInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, type SingleRunTask, type TaskModel, type TaskRequest } from './task.ts'

/**
 * Text recognisers of one graph: an image of a line to ``[N, steps, characters + 1]``, scores of each character and of
 * the blank at each step, as connectionist temporal classification (Graves et al. 2006) has them. The likeliest of each
 * step is taken, repetitions and blanks are dropped. One score more than that is of the space, as PaddleOCR has it.
 */
export function openCtc(model: TaskModel, check: (request: TaskRequest) => void): SingleRunTask {
  const { folder, session } = model
  const { characters } = folder
  if (characters === null) {
    const what =
      '`characters` in model.json, a file of one character a line, as it has one graph that reads a line of text'
    throw lacking(folder, what)
  }
  const toPixels = openImageInput(model)
  const output = chooseOutput(model, ['logits', [...session.outputs.keys()][0] ?? ''])
  const count = session.outputs.get(output)?.dims.at(-1) ?? null
  const alphabet = alphabetOf(characters, folder.settings.ctc_blank)
  if (count !== null && alphabet(count) === null) {
    throw lacking(
      folder,
      `as many characters as ${output} has scores (${count}), less the blank and, maybe, the space; there are ${characters.length}`,
    )
  }
  return {
    async prepare(request) {
      check(request)
      return {
        rows: await toPixels(onlyImage(request)),
        decode({ [output]: tensor }) {
          const symbols = alphabet(tensor?.dims.at(-1) ?? 0)
          if (tensor === undefined || symbols === null) throw new Error(`${output} does not fit the characters`)
          return read(tensor, symbols)
        },
      }
    },
    run: openSingleRun(session, [output]),
  }
}

/** The characters by their place among so many scores; the blank is null. Null where they don't fit. */
function alphabetOf(characters: readonly string[], blank: 'first' | 'last') {
  return (count: number): (string | null)[] | null => {
    const extra = count - characters.length
    if (extra !== 1 && extra !== 2) return null
    const all = extra === 2 ? [...characters, ' '] : characters
    return blank === 'first' ? [null, ...all] : [...all, null]
  }
}

function read({ data, dims }: OutputTensor, symbols: readonly (string | null)[]) {
  const steps = dims.at(-2) ?? 1
  const found: string[] = []
  let [last, score] = [-1, 0]
  for (let step = 0; step < steps; step += 1) {
    const row = data.subarray(step * symbols.length, (step + 1) * symbols.length)
    const best = bestOf(row)
    const symbol = symbols[best] ?? null
    if (best !== last && symbol !== null) {
      found.push(symbol)
      score += probabilityOf(row, best)
    }
    last = best
  }
  return {
    text: found.join(''),
    tokens: found.length,
    score: found.length === 0 ? 0 : Math.min(1, score / found.length),
  }
}

function bestOf(row: Float32Array): number {
  let best = 0
  for (const [index, value] of row.entries()) {
    if (Number.isNaN(value)) throw new VisionQueueError('inference_failed', 'A score is not a number.')
    if (value > (row[best] ?? -Infinity)) best = index
  }
  return best
}

/** The scores are probabilities already where they add up to 1. */
function probabilityOf(row: Float32Array, index: number): number {
  let [sum, exponents] = [0, 0]
  const most = row[index] ?? 0
  let isNegative = false
  for (const value of row) {
    sum += value
    exponents += Math.exp(value - most)
    isNegative ||= value < 0
  }
  return !isNegative && Math.abs(sum - 1) < 0.01 ? most : 1 / exponents
}
