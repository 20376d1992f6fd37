import { collate, type Row } from '../collate.ts'
import { createLru } from '../lru.ts'
import type { Session } from '../session.ts'
import { dotProduct, normalized } from './embedding.ts'
import { lacking } from './lacking.ts'
import { openImageInput, openTextInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'
import type { ImageTextModel } from './zero-shot-image-classification.ts'

/** Of 512 numbers each, 8 MB. */
const keptTexts = 4096
/** The most texts of one run of the text graph, so that 64 labels from each of many jobs fit the memory. */
const textsPerRun = 64

/**
 * `vision_model.onnx` and `text_model.onnx`, each to an embedding ``[N, D]``. The logits are
 * the cosine times the folder's logit scale. A text's embedding is computed once and kept, the least
 * recently used are forgotten.
 */
export function openTwoTowers(model: TaskModel): ImageTextModel {
  const { folder, session: vision } = model
  const text = textSession(model)
  if (folder.logitScale === null)
    throw lacking(folder, 'logit_scale in model.json or logit_scale_init_value in config.json')
  const { logitScale } = folder
  const toPixels = openImageInput(model)
  const toTokens = openTextInput({ folder, session: text })
  const imageOutput = chooseOutput(model, ['image_embeds', 'pooler_output'])
  const textModel = {
    ...model,
    session: text,
    folder: { ...folder, settings: { ...folder.settings, output: undefined } },
  }
  const textOutput = chooseOutput(textModel, ['text_embeds', 'pooler_output'])
  const kept = createLru<string, Float32Array>(keptTexts)

  async function embed(texts: readonly string[]): Promise<Map<string, Float32Array>> {
    const found = new Map<string, Float32Array>()
    for (const wanted of new Set(texts)) {
      const embedding = kept.get(wanted)
      if (embedding !== undefined) found.set(wanted, embedding)
    }
    const missing = [...new Set(texts)].filter((wanted) => !found.has(wanted))
    for (let start = 0; start < missing.length; start += textsPerRun) {
      const part = missing.slice(start, start + textsPerRun)
      const rows: Record<string, Row>[] = part.map(toTokens)
      const { [textOutput]: output } = await text.run(collate(rows, text.inputs), [textOutput])
      if (output === undefined) throw new Error(`no ${textOutput} came out`)
      for (const [index, wanted] of part.entries()) {
        // Copied: a slice would keep the whole run's output alive.
        const embedding = normalized(Float32Array.from(sliceOutput(output, index).data))
        found.set(wanted, embedding)
        kept.set(wanted, embedding)
      }
    }
    return found
  }

  return {
    async prepare(image, texts) {
      // A word that the model doesn't know is this job's fault, and must not be found in a batch.
      for (const wanted of texts) if (!kept.has(wanted)) toTokens(wanted)
      return { texts, rows: await toPixels(image) }
    },
    async run(items) {
      const embeddings = await embed(items.flatMap(({ texts }) => texts))
      const feeds = collate(
        items.map(({ rows }) => rows),
        vision.inputs,
      )
      const { [imageOutput]: output } = await vision.run(feeds, [imageOutput])
      if (output === undefined) throw new Error(`no ${imageOutput} came out`)
      return items.map(({ texts }, index) => {
        const image = normalized(sliceOutput(output, index).data)
        return texts.map((wanted) => logitScale * dotProduct(image, embeddings.get(wanted) ?? new Float32Array()))
      })
    },
  }
}

function textSession({ folder, sessions }: TaskModel): Session {
  const session = sessions.get('text_model')
  if (session === undefined) throw lacking(folder, 'onnx/text_model.onnx')
  return session
}
