import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily, PlannedImage } from './chat-family.ts'
import { type FeatureGrid, multimodalPositions, plainPositions } from './positions.ts'

const feature = '<|image_pad|>'

/**
 * Qwen2-VL, Qwen2.5-VL and Qwen3-VL: an image of any size becomes a grid of patches, of which four neighbours make a
 * feature. Positions are on three axes (M-RoPE) where the decoder takes them so.
 */
export const qwenVl: ChatFamily = {
  name: 'Qwen-VL',
  modelTypes: ['qwen2_vl', 'qwen2_5_vl', 'qwen3_vl'],
  open({ folder, idOf, positionAxes }) {
    const id = idOf(feature)
    if (positionAxes > 3) throw lacking(folder, `a decoder of three axes of positions, or one; it has ${positionAxes}`)
    return {
      placeholder: feature,
      featureToken: { text: feature, id },
      expand: ({ tokens }) => feature.repeat(tokens),
      plainPrompt: null,
      addsSpecialTokens: true,
      images: { min: 0, max: Infinity },
      positions: (ids, images) =>
        positionAxes === 3 ? multimodalPositions(ids, id, images.map(gridOf)) : plainPositions(ids.length),
    }
  },
}

/** The grid of an image's features, which are merged patches. */
function gridOf({ plan }: PlannedImage): FeatureGrid {
  if (plan.rule !== 'patches') throw new Error('an image of Qwen-VL is not in patches')
  const { grid, mergeSize } = plan
  return { time: grid.time, height: grid.height / mergeSize, width: grid.width / mergeSize }
}
