import { LRUCache } from 'lru-cache'

import { collate, groupByExactLengths } from '../onnx/collate.ts'
import { withRowsApart } from '../onnx/fixed-batch.ts'
import type { Session } from '../onnx/session.ts'
import { dotProduct, normalized } from './embedding.ts'
import { lacking } from './lacking.ts'
import type { LogitScale } from './joint-scale.ts'
import { openImageInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { changeTogether } from './neighbours.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'
import { openTextInput, takenTexts } from './text-input.ts'
import type { ImageTextModel, ImageWithTexts } from './zero-shot-image-classification.ts'

/** Of 512 numbers each, 8 MB. */
const keptTexts = 4096
/** The most texts of one run of the text graph, so that 64 labels from each of many jobs fit the memory. */
const textsPerRun = 64
const sampleTexts = ['one', 'two', 'a', 'a photo', 'red circle']

/** The towers, and what joins them. */
export interface TwoTowers {
  /** The images' embeddings, of length 1. */
  embedImages: (rows: readonly ImageWithTexts['rows'][]) => Promise<Float32Array[]>
  /** The texts' embeddings, of length 1, by text. */
  embedTexts: (texts: readonly string[]) => Promise<Map<string, Float32Array>>
  /** A model whose logits are the cosine times the scale, plus the bias. */
  join: (scale: LogitScale) => ImageTextModel
}

/**
 * `vision_model.onnx` and `text_model.onnx`, each to an embedding ``[N, D]``. A text's embedding is computed
 * once and kept, the least recently used are forgotten.
 */
export async function openTwoTowers(model: TaskModel): Promise<TwoTowers> {
  const { session: vision } = model
  const toPixels = openImageInput(model)
  const imageOutput = chooseOutput(model, ['image_embeds', 'pooler_output'])
  const { text, textOutput, toTokens } = await openTextTower(model)
  const kept = new LRUCache<string, Float32Array>({ max: keptTexts })

  async function embedImages(rows: readonly ImageWithTexts['rows'][]): Promise<Float32Array[]> {
    const embeddings = rows.map((): Float32Array => new Float32Array())
    for (const group of groupByExactLengths(rows, (row) => row)) {
      const feeds = collate(
        group.map(({ item }) => item),
        vision.inputs,
      )
      const { [imageOutput]: output } = await vision.run(feeds, [imageOutput])
      if (output === undefined) throw new Error(`no ${imageOutput} came out`)
      for (const [place, { index }] of group.entries()) embeddings[index] = normalized(sliceOutput(output, place).data)
    }
    return embeddings
  }

  async function embedTexts(texts: readonly string[]): Promise<Map<string, Float32Array>> {
    const found = new Map<string, Float32Array>()
    for (const wanted of new Set(texts)) {
      const embedding = kept.get(wanted)
      if (embedding !== undefined) found.set(wanted, embedding)
    }
    const missing = [...new Set(texts)].filter((wanted) => !found.has(wanted))
    for (const group of groupByExactLengths(missing, toTokens)) {
      for (let start = 0; start < group.length; start += textsPerRun) {
        const part = group.slice(start, start + textsPerRun).map(({ item }) => item)
        const { [textOutput]: output } = await text.run(collate(part.map(toTokens), text.inputs), [textOutput])
        if (output === undefined) throw new Error(`no ${textOutput} came out`)
        for (const [index, wanted] of part.entries()) {
          // Copied: a slice would keep the whole run's output alive.
          const embedding = normalized(Float32Array.from(sliceOutput(output, index).data))
          found.set(wanted, embedding)
          kept.set(wanted, embedding)
        }
      }
    }
    return found
  }

  const join = ({ scale, bias }: LogitScale): ImageTextModel => ({
    async prepare(image, texts) {
      // A word that the model doesn't know is this job's fault, and must not be found in a batch.
      for (const wanted of texts) if (!kept.has(wanted)) toTokens(wanted)
      return { texts, rows: await toPixels(image) }
    },
    async run(items) {
      const embeddings = await embedTexts(items.flatMap(({ texts }) => texts))
      const images = await embedImages(items.map(({ rows }) => rows))
      return items.map(({ texts }, index) => {
        const image = images[index] ?? new Float32Array()
        return texts.map((wanted) => {
          const embedding = embeddings.get(wanted) ?? new Float32Array()
          if (embedding.length !== image.length) {
            throw new Error(`the embeddings of images have ${image.length} numbers, those of texts ${embedding.length}`)
          }
          return scale * dotProduct(image, embedding) + bias
        })
      })
    },
  })
  return { embedImages, embedTexts, join }
}

/** The text tower, its output and how texts reach it. One that computes a text from its neighbours runs each by itself. */
async function openTextTower(model: TaskModel) {
  const { folder } = model
  const found = textSession(model)
  const textModel = {
    ...model,
    session: found,
    folder: { ...folder, settings: { ...folder.settings, output: undefined } },
  }
  const textOutput = chooseOutput(textModel, ['text_embeds', 'pooler_output'])
  const trial = { output: textOutput }
  const toTokens = await openTextInput(textModel, trial)
  const [first, second] =
    groupByExactLengths(takenTexts(toTokens, sampleTexts), toTokens).toSorted((a, b) => b.length - a.length)[0] ?? []
  const pair = [first, second].flatMap((one) => (one === undefined ? [] : [toTokens(one.item)]))
  if (found.rowsApart === true || !(await changeTogether(found, pair, trial)))
    return { text: found, textOutput, toTokens }
  const text = withRowsApart(found)
  return { text, textOutput, toTokens: await openTextInput({ ...textModel, session: text }, trial) }
}

function textSession({ folder, sessions }: TaskModel): Session {
  const session = sessions.get('text_model')
  if (session === undefined) throw lacking(folder, 'onnx/text_model.onnx')
  return session
}
