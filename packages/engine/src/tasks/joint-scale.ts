import { collate } from '../onnx/collate.ts'
import { dotProduct, normalized } from './embedding.ts'
import { openImageInput, sampleRows } from './model-inputs.ts'
import { sliceOutput } from './single-run.ts'
import type { TaskModel } from './task.ts'
import { openTextInput, takenTexts } from './text-input.ts'

/** What makes logits of cosines: `scale * cosine + bias`. */
export interface LogitScale {
  scale: number
  bias: number
}

/** One image and one text as a joint graph sees them. */
export interface JointSample {
  background: string
  text: string
  image: Float32Array
  textEmbedding: Float32Array
  logit: number
}

const backgrounds = ['#ffffff', '#ff0000']
const texts = ['one', 'a', 'red', 'What is in the image?']
const outputs = { logits: 'logits_per_image', image: 'image_embeds', text: 'text_embeds' }

/**
 * Runs a graph of images and texts on a few of both, each pair by itself. Null where it isn't such a graph or
 * doesn't give the embeddings beside the logits; Hugging Face's exports do.
 */
export async function sampleJointGraph(joint: TaskModel): Promise<JointSample[] | null> {
  const { session } = joint
  if (Object.values(outputs).some((name) => !session.outputs.has(name))) return null
  const toPixels = openImageInput(joint)
  const toTokens = await openTextInput(joint, {
    output: outputs.logits,
    besides: async () => sampleRows(joint, toPixels),
    rowOf: ({ data, dims: [, columns = 1] }, index) => ({
      data: data.subarray(index * (columns + 1), index * (columns + 1) + 1),
      dims: [1],
    }),
  })
  const samples: JointSample[] = []
  for (const background of backgrounds) {
    const pixels = collate([await sampleRows(joint, toPixels, background)], session.inputs)
    for (const text of takenTexts(toTokens, texts)) {
      const tokens = collate([toTokens(text)], session.inputs)
      const made = await session.run({ ...pixels, ...tokens }, Object.values(outputs))
      const [logits, image, textOutput] = [made[outputs.logits], made[outputs.image], made[outputs.text]]
      if (logits === undefined || image === undefined || textOutput === undefined) return null
      samples.push({
        background,
        text,
        image: normalized(Float32Array.from(sliceOutput(image, 0).data)),
        textEmbedding: normalized(Float32Array.from(sliceOutput(textOutput, 0).data)),
        logit: logits.data[0] ?? NaN,
      })
    }
  }
  return samples
}

/**
 * The scale and bias with which cosines give these logits, by least squares: without a bias where that explains
 * them, else with one. Null where none does, or where the cosines are too much alike to tell.
 */
export function solveScale(samples: readonly JointSample[]): LogitScale | null {
  const points = samples.map(({ image, textEmbedding, logit }) => ({ cosine: dotProduct(image, textEmbedding), logit }))
  const sum = (of: (point: { cosine: number; logit: number }) => number): number =>
    points.reduce((total, point) => total + of(point), 0)
  const largest = Math.max(...points.map(({ logit }) => Math.abs(logit)))
  const explains = ({ scale, bias }: LogitScale): boolean =>
    points.every(({ cosine, logit }) => Math.abs(scale * cosine + bias - logit) <= 1e-3 * largest)
  const plain = { scale: sum(({ cosine, logit }) => cosine * logit) / sum(({ cosine }) => cosine ** 2), bias: 0 }
  if (points.length === 0) return null
  if (explains(plain)) return plain
  const [meanCosine, meanLogit] = [
    sum(({ cosine }) => cosine) / points.length,
    sum(({ logit }) => logit) / points.length,
  ]
  const spread = sum(({ cosine }) => (cosine - meanCosine) ** 2)
  const scale = sum(({ cosine, logit }) => (cosine - meanCosine) * (logit - meanLogit)) / spread
  const biased = { scale, bias: meanLogit - scale * meanCosine }
  return Math.sqrt(spread / points.length) > 1e-3 && explains(biased) ? biased : null
}
