import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily } from './chat-family.ts'
import { plainPositions } from './positions.ts'

/**
 * LLaVA and what is built like it, FastVLM and LLaVA-OneVision among them: an image is seen whole, and its features stand one
 * after the other. OneVision's larger tiles need a vector of its weights, `image_newline`, that no export has
 * as a graph or a file, so that it sees images whole too, as with Transformers.js.
 */
export const llava: ChatFamily = {
  name: 'LLaVA',
  modelTypes: ['llava', 'llava_onevision', 'llava_qwen2', 'llava_next'],
  open({ folder, files, idOf, pieceTokens }) {
    if (files.config['model_type'] === 'llava_next') {
      throw lacking(
        folder,
        'image_newline, a vector of the weights that stands after each row of features, and no graph gives it',
      )
    }
    const { image_token: named } = files.processor
    const feature = typeof named === 'string' ? named : '<image>'
    const stated = files.config['image_token_index'] ?? files.config['image_token_id']
    if (pieceTokens === null) throw lacking(folder, 'a vision encoder that gives every image as many features')
    const id = idOf(feature)
    if (typeof stated === 'number' && stated !== id) {
      throw lacking(folder, `one id of ${feature}: config.json says ${stated}, tokenizer.json ${id}`)
    }
    return {
      placeholder: feature,
      featureToken: { text: feature, id },
      expand: ({ tokens }) => feature.repeat(tokens),
      plainPrompt: null,
      addsSpecialTokens: true,
      images: { min: 0, max: Infinity },
      detail: 'low',
      positions: (ids) => plainPositions(ids.length),
    }
  },
}
