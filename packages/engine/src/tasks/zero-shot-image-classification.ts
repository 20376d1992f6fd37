import { describeFields, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { openClip } from './clip-model.ts'
import { onlyImage, parseInput, type PreparedItem, type Task } from './task.ts'
import { topScores } from './top-scores.ts'

const label = 'a label of 1 to 256 characters'
const inputSchema = z.strictObject({
  candidate_labels: z
    .array(z.string(label).trim().max(256, label).regex(/\S/, label), '1 to 64 labels')
    .min(1, '1 to 64 labels')
    .max(64, '1 to 64 labels')
    .refine((labels) => new Set(labels).size === labels.length, 'no label twice'),
})
const template = 'a text of at most 256 characters with {} in it'
const parametersSchema = z.strictObject({
  hypothesis_template: z
    .string(template)
    .max(256, template)
    .regex(/\{\}/, template)
    .default('{}')
    .describe('the text that a label becomes, such as "a photo of a {}."; {} stands for the label'),
})
const outputSchema = z.object({
  labels: z.array(z.object({ label: z.string(), score: z.number().min(0).max(1) })),
})

/**
 * A template may have many places for its label: 64 labels in 128 places each were 2 MB of text and 3 s of
 * tokenising, of a request of 17 KB.
 */
const maxTextCharacters = 1024

function tooLong(): VisionQueueError {
  const field = 'parameters.hypothesis_template'
  const fields = [{ field, expected: `at most ${maxTextCharacters} characters with a label in it` }]
  return new VisionQueueError('invalid_input', describeFields(fields), { fields })
}

/** A batch's items with their texts to what each image's likeness to its texts is, as logits in the texts' order. */
export interface ImageTextModel {
  prepare: (image: Uint8Array, texts: readonly string[]) => Promise<ImageWithTexts>
  run: (items: readonly ImageWithTexts[]) => Promise<(number[] | Error)[]>
}

export interface ImageWithTexts extends Pick<PreparedItem, 'rows'> {
  texts: readonly string[]
}

/**
 * Which of the caller's own labels fits an image best, by a model of the CLIP kind: two graphs,
 * `vision_model` and `text_model`, whose embeddings are compared (those of texts are kept), or one,
 * `model`, that gives `logits_per_image`. Models of the SigLIP kind score each label by itself.
 */
export const zeroShotImageClassification: Task = {
  name: 'zero-shot-image-classification',
  graphs: [['vision_model', 'text_model'], ['model']],
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: { candidate_labels: ['one', 'two'] },
  async open(model) {
    const clip = await openClip(model)
    const inner = new WeakMap<PreparedItem, ImageWithTexts>()
    const activation = model.folder.settings.activation ?? (model.folder.isSiglip ? 'sigmoid' : 'softmax')
    return {
      async prepare(request) {
        const { candidate_labels: labels } = parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        const texts = labels.map((candidate) => parameters.hypothesis_template.replaceAll('{}', () => candidate))
        if (texts.some(({ length }) => length > maxTextCharacters)) throw tooLong()
        const prepared = await clip.prepare(onlyImage(request), texts)
        const item: PreparedItem = {
          rows: prepared.rows,
          decode({ logits }) {
            return { labels: topScores(logits?.data ?? [], labels, labels.length, activation) }
          },
        }
        inner.set(item, prepared)
        return item
      },
      async run(items) {
        const logits = await clip.run(items.flatMap((item) => inner.get(item) ?? []))
        const decoded = items.map(async (item, index) => {
          const own = logits[index]
          if (own === undefined || own instanceof Error) return own ?? new Error('no logits came out')
          try {
            return await item.decode({ logits: { data: Float32Array.from(own), dims: [own.length] } })
          } catch (error) {
            return error instanceof Error ? error : new Error('the logits can not be read')
          }
        })
        return Promise.all(decoded)
      },
    }
  },
}
