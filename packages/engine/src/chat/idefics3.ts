import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily, PlannedImage } from './chat-family.ts'
import { plainPositions } from './positions.ts'

const [around, whole] = ['<fake_token_around_image>', '<global-img>']
const feature = '<image>'

/**
 * SmolVLM, SmolVLM2 and Idefics3: an image is cut into tiles, each of which is named by its row and column in the prompt, and
 * then seen whole once more. The words are those of Hugging Face's Idefics3Processor.
 */
export const idefics3: ChatFamily = {
  name: 'Idefics3',
  modelTypes: ['idefics3', 'smolvlm'],
  open({ folder, files, idOf, pieceTokens }) {
    const stated = files.processor['image_seq_len']
    if (pieceTokens === null) throw lacking(folder, 'a vision encoder that gives every tile as many features')
    if (typeof stated === 'number' && stated !== pieceTokens) {
      const what = `processor_config.json: image_seq_len as the vision encoder has it: ${pieceTokens}; it says ${stated}`
      throw lacking(folder, what)
    }
    return {
      placeholder: feature,
      featureToken: { text: feature, id: idOf(feature) },
      expand: (image) => expand(image, feature.repeat(pieceTokens)),
      plainPrompt: null,
      addsSpecialTokens: true,
      images: { min: 0, max: Infinity },
      positions: (ids) => plainPositions(ids.length),
    }
  },
}

function expand({ plan }: PlannedImage, features: string): string {
  const last = `${around}${whole}${features}${around}`
  if (plan.rule !== 'split' || plan.rows * plan.columns === 0) return last
  let text = ''
  for (let row = 1; row <= plan.rows; row += 1) {
    for (let column = 1; column <= plan.columns; column += 1) text += `${around}<row_${row}_col_${column}>${features}`
    text += '\n'
  }
  return `${text}\n${last}`
}
