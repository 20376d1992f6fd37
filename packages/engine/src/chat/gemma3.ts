import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily } from './chat-family.ts'
import { textOf } from './conversation.ts'
import { oneTurn } from './one-turn.ts'
import { plainPositions } from './positions.ts'

/** Gemma 3: the template marks where an image begins; its features stand between that mark and another. Positions count from 1. */
export const gemma3: ChatFamily = {
  name: 'Gemma 3',
  modelTypes: ['gemma3'],
  open({ folder, tokens, idOf, pieceTokens }) {
    const { boi_token: begin = '<start_of_image>', eoi_token: end = '<end_of_image>' } = tokens
    const feature = tokens.image_token ?? '<image_soft_token>'
    if (pieceTokens === null) throw lacking(folder, 'a vision encoder that gives every image as many features')
    return {
      placeholder: begin ?? '<start_of_image>',
      featureToken: { text: feature, id: idOf(feature) },
      expand: (image) => `\n\n${begin}${feature.repeat(image.tokens)}${end}\n\n`,
      plainPrompt: null,
      addsSpecialTokens: true,
      images: { min: 0, max: Infinity },
      positions: (ids) => plainPositions(ids.length, 1),
    }
  },
}

/** PaliGemma: no template; the features of the images, a begin token, the text and a line's end. Positions count from 1. */
export const paliGemma: ChatFamily = {
  name: 'PaliGemma',
  modelTypes: ['paligemma'],
  open({ folder, tokens, idOf, pieceTokens }) {
    const [feature, begin] = ['<image>', tokens.bos_token ?? '<bos>']
    if (pieceTokens === null) throw lacking(folder, 'a vision encoder that gives every image as many features')
    return {
      placeholder: feature,
      featureToken: { text: feature, id: idOf(feature) },
      expand: (image) => feature.repeat(image.tokens),
      plainPrompt: (conversation, images) =>
        `${feature.repeat(images)}${begin}${textOf(oneTurn(conversation, 'PaliGemma'))}\n`,
      // The begin token stands behind the images; the tokenizer would write another before them.
      addsSpecialTokens: false,
      images: { min: 1, max: Infinity },
      positions: (ids) => plainPositions(ids.length, 1),
    }
  },
}
