import { collate, groupByExactLengths, type Row } from '../onnx/collate.ts'
import type { OutputTensor } from '../onnx/tensor.ts'
import { joinColumns, type LabelHead } from './label-head.ts'
import { openPlacedInput, sampleRows } from './model-inputs.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'
import { openTextInput, type TextInput } from './text-input.ts'

/** Graphs of the OWL-ViT kind take a text for each label: `logits` are ``[1, places, texts]``. */
export async function openTextLabels(model: TaskModel): Promise<LabelHead> {
  const toTokens = await openTexts(model)
  return {
    check(labels) {
      for (const text of labels) toTokens(text)
    },
    run: async (rows, labels) => runOne(model, toTokens, rows, labels),
  }
}

/** Texts are filled up to the longest beside them only where that was seen to change nothing. */
async function openTexts(model: TaskModel): Promise<TextInput> {
  const besides = async (): Promise<Record<string, Row>> =>
    sampleRows(model, async (image) => (await openPlacedInput(model)(image)).rows)
  return openTextInput(model, {
    output: 'logits',
    besides,
    rowOf: ({ data, dims: [, places = 1, columns = 1] }, index) => ({
      data: Float32Array.from({ length: places }, (_, place) => data[place * columns + index] ?? NaN),
      dims: [places],
    }),
  })
}

/** The outputs for one image and its labels, in their order. Labels whose texts must not be padded run with those of their length. */
async function runOne(
  { session }: TaskModel,
  toTokens: TextInput,
  rows: Record<string, Row>,
  labels: readonly string[],
): ReturnType<LabelHead['run']> {
  const columns: Float32Array[] = []
  let boxes: OutputTensor | undefined
  for (const group of groupByExactLengths(labels, toTokens)) {
    const feeds = {
      ...collate([rows], session.inputs),
      ...collate(
        group.map(({ item }) => toTokens(item)),
        session.inputs,
      ),
    }
    const outputs = await session.run(feeds, ['logits', 'pred_boxes'])
    const { logits, pred_boxes: found } = outputs
    if (logits === undefined || found === undefined) throw new Error('no logits or boxes came out')
    boxes = sliceOutput(found, 0)
    const [images = 1, places = 1, count = 1] = logits.dims
    // A graph whose inputs are all fixed to one row gives one for each label.
    if (images * count !== group.length)
      throw new Error(`logits is [${logits.dims.join(', ')}] for ${group.length} labels`)
    for (const [column, { index }] of group.entries()) {
      const start = count === 1 ? column * places : column
      columns[index] = Float32Array.from({ length: places }, (_, place) => logits.data[start + place * count] ?? NaN)
    }
  }
  if (boxes === undefined) throw new Error('there are no labels')
  return { logits: joinColumns(columns, boxes.dims[0] ?? 1), pred_boxes: boxes }
}
