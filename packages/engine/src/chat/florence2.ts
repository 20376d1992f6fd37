import { z } from 'zod'

import { lacking } from '../tasks/lacking.ts'
import type { ChatFamily } from './chat-family.ts'
import { type Conversation, textOf } from './conversation.ts'
import { type AnswerKind, answerKinds, readRegions } from './florence2-answer.ts'
import { oneTurn } from './one-turn.ts'
import { plainPositions } from './positions.ts'

const promptsSchema = z.record(z.string(), z.string()).catch({})
const name = 'Florence-2'

/**
 * Florence-2: an encoder reads the image's features and then the text, and a decoder writes. A prompt is a task's token,
 * such as `<OD>`, of which preprocessor_config.json has the words that the model was trained on, or any text. Answers that
 * name places are read into boxes and polygons in pixels of the original.
 */
export const florence2: ChatFamily = {
  name,
  modelTypes: ['florence2'],
  open({ folder, files: { preprocessor }, pieceTokens }) {
    if (pieceTokens === null) throw lacking(folder, 'a vision encoder that gives every image as many features')
    const alone = new Map(Object.entries(promptsSchema.parse(preprocessor['task_prompts_without_inputs'])))
    const withInput = new Map(Object.entries(promptsSchema.parse(preprocessor['task_prompts_with_input'])))
    const kinds = promptsSchema.parse(preprocessor['tasks_answer_post_processing_type'])
    const taskOf = (text: string): string | undefined =>
      alone.has(text) ? text : [...withInput.keys()].find((task) => text.includes(task))
    return {
      // No template writes it: features go before the text, not into it.
      placeholder: '<image>',
      featureToken: null,
      expand: () => '',
      plainPrompt: (conversation) => toPrompt(questionOf(conversation), alone, withInput),
      addsSpecialTokens: true,
      images: { min: 1, max: 1 },
      positions: (ids) => plainPositions(ids.length),
      keepsSpecialTokens: true,
      readAnswer(text, conversation, [image]) {
        const kind = kinds[taskOf(questionOf(conversation)) ?? ''] ?? ''
        if (image === undefined || !isKind(kind)) return { text, regions: null }
        return { text, regions: readRegions(text, kind, image.plan.original) }
      },
    }
  },
}

function questionOf(conversation: Conversation): string {
  return textOf(oneTurn(conversation, name)).trim()
}

function isKind(kind: string): kind is AnswerKind {
  return answerKinds.some((known) => known === kind)
}

/** The words of a task, as Hugging Face's Florence2Processor puts them together. */
function toPrompt(text: string, alone: ReadonlyMap<string, string>, withInput: ReadonlyMap<string, string>): string {
  const words = alone.get(text)
  if (words !== undefined) return words
  for (const [task, form] of withInput) {
    if (text.includes(task)) return form.replaceAll('{input}', () => text.replaceAll(task, ''))
  }
  return text
}
