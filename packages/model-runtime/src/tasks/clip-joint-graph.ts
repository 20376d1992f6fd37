import { collate } from '../collate.ts'
import { fixedBatchSize } from '../fixed-batch.ts'
import { lacking } from './lacking.ts'
import { openImageInput, openTextInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'
import type { ImageTextModel } from './zero-shot-image-classification.ts'

/**
 * One graph of N images and M texts that gives `logits_per_image`, ``[N, M]``. A batch is run once, with
 * the different texts of all its jobs, and each job gets the columns of its own.
 */
export function openJointGraph(model: TaskModel): ImageTextModel {
  const { folder, session } = model
  if (fixedBatchSize(session) !== null) throw lacking(folder, 'a graph whose batch dimension may vary')
  const toPixels = openImageInput(model)
  const toTokens = openTextInput(model)
  const output = chooseOutput(model, ['logits_per_image'])
  return {
    async prepare(image, texts) {
      for (const text of texts) toTokens(text)
      return { texts, rows: await toPixels(image) }
    },
    async run(items) {
      const all = [...new Set(items.flatMap(({ texts }) => texts))]
      const feeds = {
        ...collate(
          items.map(({ rows }) => rows),
          session.inputs,
        ),
        ...collate(all.map(toTokens), session.inputs),
      }
      const { [output]: logits } = await session.run(feeds, [output])
      if (logits === undefined) throw new Error(`no ${output} came out`)
      if (logits.dims[0] !== items.length || logits.dims[1] !== all.length) {
        throw new Error(`${output} is [${logits.dims.join(', ')}] for ${items.length} images and ${all.length} texts`)
      }
      return items.map(({ texts }, index) => {
        const { data } = sliceOutput(logits, index)
        return texts.map((text) => data[all.indexOf(text)] ?? NaN)
      })
    },
  }
}
