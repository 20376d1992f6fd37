import type { GenerationPrompt } from '../generation/generation-prompt.ts'
import { toBlock } from '../generation/row-block.ts'
import { toFeed } from '../onnx/tensor.ts'
import type { PlannedImage } from './chat-family.ts'
import type { VisionImage } from './feature-cache.ts'
import type { ChatModel } from './open-model.ts'
import type { PromptIds } from './prompt-text.ts'
import type { PromptPositions } from './positions.ts'
import { embedPrompt } from './text-embedder.ts'

/** A prompt whose images are encoded, as the decoder is fed it. */
export type FeedPrompt = (
  prompt: PromptIds,
  images: readonly PlannedImage[],
  seen: readonly VisionImage[],
) => Promise<GenerationPrompt>

/**
 * Decoders are fed the prompt's embeddings with the features of images in their places. Where an encoder reads the prompt
 * (Florence-2) it gets the features and then the text, and the decoder begins with `startId`.
 */
export function openPromptFeeder(
  { family, embed, decoder, textEncoder }: Pick<ChatModel, 'family' | 'embed' | 'decoder' | 'textEncoder'>,
  { startId }: { startId: number },
): FeedPrompt {
  const featuresOf = (seen: readonly VisionImage[]): Float32Array[] =>
    seen.flatMap(({ pieces }) =>
      pieces.map(({ features }) => {
        if (features === null) throw new Error('an image is not encoded yet')
        return features
      }),
    )

  return async ({ ids }, images, seen) => {
    if (textEncoder === null) {
      const embeds = await embedPrompt(ids, {
        embed,
        featureId: family.featureToken?.id ?? null,
        features: featuresOf(seen),
      })
      return { ids, embeds, ...onAxes(family.positions(ids, images), decoder.positionAxes), cross: null }
    }
    const begin = [startId]
    const beginEmbeds = await embed(begin)
    const width = beginEmbeds.length
    const read = joined([...featuresOf(seen), ...(ids.length === 0 ? [] : [await embed(ids)])])
    const length = read.length / width
    const states = await encode(textEncoder, read, [1, length, width])
    return {
      ids: begin,
      embeds: decoder.takesEmbeds ? beginEmbeds : null,
      ...onAxes(family.positions(begin, images), decoder.positionAxes),
      cross: toBlock(1, [['encoder_hidden_states', { data: states, dims: [1, length, width] }]]),
    }
  }
}

/** The same positions on all axes where the family has one and the decoder takes several. */
function onAxes({ positions, nextPosition }: PromptPositions, axes: number): PromptPositions {
  const [only] = positions
  if (only === undefined || positions.length >= axes) return { positions, nextPosition }
  return { positions: Array.from({ length: axes }, () => only), nextPosition }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

async function encode(
  { inputs, run }: NonNullable<ChatModel['textEncoder']>,
  embeds: Float32Array,
  dims: [number, number, number],
): Promise<Float32Array> {
  const [rows, length] = dims
  const [embedsName, maskName, name] = ['inputs_embeds', 'attention_mask', 'last_hidden_state']
  const mask = inputs.get(maskName)
  const { [name]: states } = await run(
    {
      [embedsName]: toFeed(inputs.get(embedsName)?.type ?? 'float32', embeds, dims),
      ...(mask === undefined
        ? {}
        : { [maskName]: toFeed(mask.type, new Float32Array(length).fill(1), [rows, length]) }),
    },
    [name],
  )
  if (states === undefined) throw new Error(`no ${name} came out`)
  return states.data
}
