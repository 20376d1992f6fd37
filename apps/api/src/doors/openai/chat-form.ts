import { type ModelManifest, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

/**
 * What a conversation is to a model, by the names of the inputs and outputs that it announces:
 * - `messages`: the model takes whole conversations.
 * - `question`: the text of the last question is the model's `question`.
 * - `statement`: that text is the model's `text`, and the answer is a verdict on it.
 * - `labels`: the answer is the likeliest label, of a list that the request brings or of the model's own.
 * - `caption`: the model writes a text about the image, whatever it is told.
 */
export interface ChatForm {
  kind: 'messages' | 'question' | 'statement' | 'labels' | 'caption'
  inputs: ReadonlySet<string>
  /** Inputs that can't be left out. */
  required: ReadonlySet<string>
  /** Whether the answer comes with scores of what else it could have been. */
  scored: boolean
  /** Parameters by their native names, each with the largest number that it may be, where it has one. */
  parameters: ReadonlyMap<string, number | null>
}

const schemaSchema = z.object({
  properties: z.record(z.string(), z.object({ maximum: z.number().nullable().catch(null) })).catch({}),
  required: z.array(z.string()).catch([]),
})

/** How the model can be asked in a conversation; null: it can't. */
export function chatFormOf(manifest: ModelManifest): ChatForm | null {
  const input = schemaSchema.parse(manifest.inputSchema)
  const inputs = new Set(Object.keys(input.properties))
  const outputs = new Set(Object.keys(schemaSchema.parse(manifest.outputSchema).properties))
  const kind = kindOf(inputs, outputs)
  if (kind === null) return null
  const { properties } = schemaSchema.parse(manifest.parametersSchema)
  return {
    kind,
    inputs,
    required: new Set(input.required),
    scored: ['answers', 'labels', 'scores'].some((name) => outputs.has(name)),
    parameters: new Map(Object.entries(properties).map(([name, { maximum }]) => [name, maximum])),
  }
}

function kindOf(inputs: ReadonlySet<string>, outputs: ReadonlySet<string>): ChatForm['kind'] | null {
  const answers = ['text', 'answers', 'label', 'labels'].some((name) => outputs.has(name))
  if (!answers) return null
  if (inputs.has('messages')) return 'messages'
  if (inputs.has('question')) return 'question'
  if (inputs.has('text')) return 'statement'
  return outputs.has('text') ? 'caption' : 'labels'
}

/** Says where the jobs of a model without a ChatForm go. */
export function noChat({ name, task }: ModelManifest): VisionQueueError {
  const expected = `a model that answers in words; submit jobs for ${name}, which does ${task}, to POST /jobs`
  return new VisionQueueError('invalid_request', `model: ${expected}.`, { fields: [{ field: 'model', expected }] })
}
