import { VisionQueueError } from '@vision-queue/protocol'

import { toFeed } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'

/** Ids to their embeddings, ``float32 [ids.length, width]``. */
export type EmbedIds = (ids: readonly number[]) => Promise<Float32Array>

/** Opens `embed_tokens`; throws `model_unavailable` where it is another graph. */
export function openTextEmbedder({ inputs, outputs, run }: Session, shownAs: string): EmbedIds {
  const [idsName, name] = ['input_ids', 'inputs_embeds']
  const type = inputs.get(idsName)?.type
  if ((type !== 'int64' && type !== 'int32') || inputs.size !== 1 || !outputs.has(name)) {
    const found = `takes ${[...inputs.keys()].join(', ')} and gives ${[...outputs.keys()].join(', ')}`
    const sentence = `${shownAs}: onnx/embed_tokens.onnx has to take ${idsName} as int64 and give ${name}; it ${found}.`
    throw new VisionQueueError('model_unavailable', sentence)
  }
  return async (ids) => {
    const { [name]: embeds } = await run({ [idsName]: toFeed(type, ids, [1, ids.length]) }, [name])
    if (embeds === undefined) throw new Error(`no ${name} came out`)
    return embeds.data
  }
}

/**
 * The embeddings of a prompt with the features of its images in their places, in order. Throws where the features are not
 * as many as the places, or not as wide as a token.
 */
export async function embedPrompt(
  ids: readonly number[],
  { embed, featureId, features }: { embed: EmbedIds; featureId: number | null; features: readonly Float32Array[] },
): Promise<Float32Array> {
  // A place is overwritten: its own id may be one that the table doesn't have.
  const embeds = await embed(ids.map((id) => (id === featureId ? 0 : id)))
  const width = embeds.length / ids.length
  const target = Float32Array.from(embeds)
  let [image, from] = [0, 0]
  for (const [index, id] of ids.entries()) {
    if (id !== featureId) continue
    while (image < features.length && from >= (features[image]?.length ?? 0)) [image, from] = [image + 1, 0]
    const row = features[image]?.subarray(from, from + width)
    if (row === undefined || row.length !== width)
      throw new Error(`features of ${width} numbers are missing for place ${index}`)
    target.set(row, index * width)
    from += width
  }
  const last = features.at(-1)
  if (features.length > 0 && (image !== features.length - 1 || from !== last?.length)) {
    throw new Error('there are more features than places in the prompt')
  }
  return target
}
