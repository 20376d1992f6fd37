import { z } from 'zod'

import { openImageInput, sampleRows } from './model-inputs.ts'
import { openScores } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'
import { openTextInput } from './text-input.ts'

const question = 'a question of 1 to 512 characters'
const inputSchema = z.strictObject({
  question: z.string(question).trim().max(512, question).regex(/\S/, question),
})
const parametersSchema = z.strictObject({
  top_k: z.int().min(1).max(50).default(1).describe('how many answers, the likeliest first'),
})
const outputSchema = z.object({
  answers: z.array(z.object({ answer: z.string(), score: z.number().min(0).max(1) })),
})

/**
 * A question about an image, answered from a fixed list. The graph takes `pixel_values`, `input_ids`
 * and `attention_mask` and gives `logits`, ``float32 [N, answers]``; the answers are the folder's labels.
 */
export const visualQuestionAnswering: Task = {
  name: 'visual-question-answering',
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: { question: 'What is in the image?' },
  async open(model) {
    const toPixels = openImageInput(model)
    const head = openScores(model)
    const toTokens = await openTextInput(model, {
      output: head.output,
      besides: async () => sampleRows(model, toPixels),
    })
    return {
      async prepare(request) {
        const input = parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        const tokens = toTokens(input.question)
        return {
          rows: { ...tokens, ...(await toPixels(onlyImage(request))) },
          decode(outputs) {
            const answers = head.top(outputs, parameters.top_k)
            return { answers: answers.map(({ label, score }) => ({ answer: label, score })) }
          },
        }
      },
      run: openSingleRun(model.session, [head.output]),
    }
  },
}
