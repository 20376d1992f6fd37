import type { ModelFolder } from '@vision-queue/models'

import { lacking } from '../tasks/lacking.ts'
import type { TextTokenizer } from '../text/tokenizer.ts'
import type { OpenFamily, PlannedImage } from './chat-family.ts'
import { countOf, openChatTemplate, type SpecialTokens } from './chat-template.ts'
import { type Conversation, refuse, textOf } from './conversation.ts'

/** A prompt as ids, and what of it is whose. */
export interface PromptIds {
  ids: number[]
  textTokens: number
  imageTokens: number
}

/** A conversation and the images in it to the ids of the prompt, with as many places for each image as it has features. */
export type WritePrompt = (conversation: Conversation, images: readonly PlannedImage[]) => PromptIds

/**
 * How a folder's conversations become prompts: by its chat template, or as its family does without one. Then each image's
 * placeholder becomes the words around its features and their places, and the text is tokenised whole, never cut.
 * Throws `model_unavailable` where the folder has no template and its family needs one.
 */
export function openPromptWriter(
  folder: ModelFolder,
  { family, tokens, tokenizer }: { family: OpenFamily; tokens: SpecialTokens; tokenizer: TextTokenizer },
): WritePrompt {
  const { placeholder, featureToken, plainPrompt } = family
  const template = folder.chat?.template ?? null
  const shownAs = `${folder.name}/${folder.version}`
  const render = template === null ? null : openChatTemplate(template, { tokens, placeholder, shownAs })
  if (render === null && plainPrompt === null) {
    throw lacking(
      folder,
      'a chat template: chat_template.jinja, chat_template.json, or chat_template in tokenizer_config.json',
    )
  }
  const reserved = [...new Set([placeholder, ...(featureToken === null ? [] : [featureToken.text])])]
  const begin = tokens.bos_token ?? null

  return (conversation, images) => {
    refuseReserved(conversation, reserved)
    const text = render === null ? (plainPrompt?.(conversation, images.length) ?? '') : render(conversation)
    const prompt = featureToken === null ? text : expandImages(text, { conversation, images, family })
    const isWhole = !family.addsSpecialTokens || (begin !== null && begin !== '' && prompt.startsWith(begin))
    const ids = isWhole ? tokenizer.encodePlain(prompt) : tokenizer.encode(prompt).ids
    const wanted = images.reduce((sum, image) => sum + image.tokens, 0)
    const places = featureToken === null ? 0 : ids.filter((id) => id === featureToken.id).length
    if (featureToken !== null && places !== wanted) {
      throw new Error(`the prompt has ${places} places for ${wanted} features`)
    }
    return { ids, textTokens: ids.length - places, imageTokens: wanted }
  }
}

/** The words that hold the places of images would be taken for such places. */
function refuseReserved(conversation: Conversation, reserved: readonly string[]): void {
  for (const [index, turn] of conversation.turns.entries()) {
    const found = reserved.find((token) => textOf(turn).includes(token))
    const field = conversation.field === 'input.prompt' ? conversation.field : `${conversation.field}.${index}.content`
    if (found !== undefined) throw refuse(field, `a text without ${found}, which holds the place of an image`)
  }
}

function expandImages(
  text: string,
  { conversation, images, family }: { conversation: Conversation; images: readonly PlannedImage[]; family: OpenFamily },
): string {
  const places = countOf(text, family.placeholder)
  if (places !== images.length) {
    const expected = `images where the model's chat template has places for them (it has ${places} for ${images.length})`
    throw refuse(conversation.field, expected)
  }
  const parts = text.split(family.placeholder)
  return parts
    .map((part, index) => {
      const image = images[index - 1]
      return image === undefined ? part : `${family.expand(image)}${part}`
    })
    .join('')
}
