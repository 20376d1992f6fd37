import { openJointGraph } from './clip-joint-graph.ts'
import { openTwoTowers, type TwoTowers } from './clip-two-towers.ts'
import { dotProduct } from './embedding.ts'
import { sampleJointGraph, solveScale, type JointSample, type LogitScale } from './joint-scale.ts'
import { lacking } from './lacking.ts'
import { openImageInput, sampleRows } from './model-inputs.ts'
import type { TaskModel } from './task.ts'
import type { ImageTextModel } from './zero-shot-image-classification.ts'

/** How alike a tower's embedding and the joint graph's must be, as a cosine; int8 towers beside a float32 graph have 0.99. */
const alike = 0.95

/**
 * A model of the CLIP kind: one joint graph, or two towers with what makes logits of their cosines. Where a
 * joint graph lies beside the towers, its trained scale and bias are found out and the towers run, because they
 * keep texts; where that can't be, it runs itself. `logit_scale_init_value` is where the training began:
 * it counts only where nothing else is known.
 */
export async function openClip(model: TaskModel): Promise<ImageTextModel> {
  if (!model.sessions.has('text_model')) return openJointGraph(model)
  const { folder } = model
  const { logitScale, logitBias, isSiglip } = folder
  if (logitScale !== null && (logitBias !== null || !isSiglip)) {
    return (await openTwoTowers(model)).join({ scale: logitScale, bias: logitBias ?? 0 })
  }
  const session = await model.openBeside('model')
  if (session?.outputs.has('logits_per_image') === true && session.inputs.has('input_ids')) {
    const joint = { ...model, session, folder: { ...folder, settings: { ...folder.settings, output: undefined } } }
    const samples = await sampleJointGraph(joint)
    const scale = samples === null ? null : solveScale(samples)
    const towers = await openTwoTowers(model)
    if (samples === null || scale === null || !(await agree(model, towers, samples))) return openJointGraph(joint)
    await session.close()
    return towers.join(scale)
  }
  await session?.close()
  return (await openTwoTowers(model)).join(initialScale(model))
}

function initialScale({ folder }: TaskModel): LogitScale {
  if (folder.isSiglip) {
    throw lacking(
      folder,
      'both logit_scale and logit_bias in model.json, or onnx/model.onnx, which has them: a SigLIP model is trained to its own',
    )
  }
  if (folder.initialLogitScale === null) {
    throw lacking(folder, 'logit_scale in model.json or logit_scale_init_value in config.json')
  }
  return { scale: folder.initialLogitScale, bias: folder.logitBias ?? 0 }
}

/** Whether the towers give the joint graph's embeddings: a tower without its projection does not. */
async function agree(model: TaskModel, towers: TwoTowers, samples: readonly JointSample[]): Promise<boolean> {
  const toPixels = openImageInput(model)
  const texts = await towers.embedTexts(samples.map(({ text }) => text))
  const images = new Map<string, Float32Array | undefined>()
  for (const { background } of samples) {
    if (images.has(background)) continue
    const [image] = await towers.embedImages([await sampleRows(model, toPixels, background)])
    images.set(background, image)
  }
  const isAlike = (made: Float32Array | undefined, wanted: Float32Array): boolean =>
    made?.length === wanted.length && dotProduct(made, wanted) >= alike
  return samples.every(
    ({ background, text, image, textEmbedding }) =>
      isAlike(images.get(background), image) && isAlike(texts.get(text), textEmbedding),
  )
}
