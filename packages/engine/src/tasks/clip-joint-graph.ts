import { collate, exactLengths, groupByExactLengths, type Row } from '../onnx/collate.ts'
import { fixedBatchSize } from '../onnx/fixed-batch.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import { lacking } from './lacking.ts'
import { openImageInput, sampleRows } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { changeTogether, type ReadRow } from './neighbours.ts'
import type { TaskModel } from './task.ts'
import { openTextInput, takenTexts } from './text-input.ts'
import type { ImageTextModel, ImageWithTexts } from './zero-shot-image-classification.ts'

/**
 * One graph of N images and M texts that gives `logits_per_image`, ``[N, M]``. A batch is run with the different
 * texts of all its jobs, those that must not be padded by their lengths and images by their sizes, and each job gets the columns of
 * its own. A graph in which one image or text changes another's logits is run for each pair by itself.
 */
export async function openJointGraph(model: TaskModel): Promise<ImageTextModel> {
  const { folder, session, facts } = model
  if (fixedBatchSize(session) !== null) throw lacking(folder, 'a graph whose batch dimension may vary')
  const toPixels = openImageInput(model)
  const output = chooseOutput(model, ['logits_per_image'])
  if (facts.probabilities.get(output) === 'softmax') {
    throw lacking(folder, `logits; ${output} comes out of a softmax over all texts of a run`)
  }
  const besides = async (): Promise<Record<string, Row>> => sampleRows(model, toPixels)
  const trial = { output, besides, rowOf: ownLogit }
  const toTokens = await openTextInput(model, trial)
  const apart =
    session.rowsApart === true ||
    (await mixesPairs(model, takenTexts(toTokens, ['one', 'two', 'a']).map(toTokens), trial))

  async function logitsOf(images: readonly ImageWithTexts[], texts: readonly string[]): Promise<OutputTensor> {
    const rows = images.map((image) => image.rows)
    const feeds = { ...collate(rows, session.inputs), ...collate(texts.map(toTokens), session.inputs) }
    const { [output]: logits } = await session.run(feeds, [output])
    if (logits === undefined) throw new Error(`no ${output} came out`)
    if (logits.dims[0] !== images.length || logits.dims[1] !== texts.length) {
      throw new Error(`${output} is [${logits.dims.join(', ')}] for ${images.length} images and ${texts.length} texts`)
    }
    return logits
  }

  return {
    async prepare(image, texts) {
      for (const text of texts) toTokens(text)
      return { texts, rows: await toPixels(image) }
    },
    async run(items) {
      const columns = items.map(() => new Map<string, number>())
      const runs = apart ? pairsOf(items) : groupsOf(items, toTokens)
      for (const { images, texts } of runs) {
        const some = images.flatMap((index) => items[index] ?? [])
        const { data } = await logitsOf(some, texts)
        for (const [row, index] of images.entries()) {
          for (const [column, text] of texts.entries()) {
            columns[index]?.set(text, data[row * texts.length + column] ?? NaN)
          }
        }
      }
      return items.map(({ texts }, index) => texts.map((text) => columns[index]?.get(text) ?? NaN))
    },
  }
}

/** Places of images, and texts, that share a run. */
interface JointRun {
  images: number[]
  texts: string[]
}

function pairsOf(items: readonly ImageWithTexts[]): JointRun[] {
  return items.flatMap(({ texts }, index) => texts.map((text) => ({ images: [index], texts: [text] })))
}

function groupsOf(items: readonly ImageWithTexts[], toTokens: (text: string) => Record<string, Row>): JointRun[] {
  const all = [...new Set(items.flatMap(({ texts }) => texts))]
  const sizes = groupByExactLengths(items, ({ rows }) => rows)
  return groupByExactLengths(all, toTokens).flatMap((group) => {
    const texts = group.map(({ item }) => item)
    const own = new Set(texts)
    return sizes.flatMap((size) => {
      const images = size.flatMap(({ item, index }) => (item.texts.some((text) => own.has(text)) ? [index] : []))
      return images.length === 0 ? [] : [{ images, texts }]
    })
  })
}

/** The logit of an image and a text that stand at the same place. */
function ownLogit({ data, dims: [, columns = 1] }: OutputTensor, index: number): OutputTensor {
  return { data: data.subarray(index * columns + index, index * columns + index + 1), dims: [1] }
}

async function mixesPairs(
  model: TaskModel,
  texts: readonly Record<string, Row>[],
  { besides, ...read }: ReadRow & { besides: () => Promise<Record<string, Row>> },
): Promise<boolean> {
  const [white, black] = [await besides(), await sampleRows(model, openImageInput(model), '#000000')]
  const [first, second] = texts
  if (first === undefined) return false
  const sameLength = second !== undefined && exactLengths(first) === exactLengths(second)
  return changeTogether(
    model.session,
    [
      { ...white, ...first },
      { ...black, ...(sameLength ? second : first) },
    ],
    read,
  )
}
