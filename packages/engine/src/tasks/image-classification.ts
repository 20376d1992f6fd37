import { z } from 'zod'

import { openImageInput } from './model-inputs.ts'
import { openScores } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'

const inputSchema = z.strictObject({})
const parametersSchema = z.strictObject({
  top_k: z.int().min(1).max(1000).default(5).describe('how many labels, the likeliest first'),
})
const outputSchema = z.object({
  labels: z.array(z.object({ label: z.string(), score: z.number().min(0).max(1) })),
})

/** What an image shows, of the folder's labels. The graph takes an image and gives `logits`, ``[N, labels]``. */
export const imageClassification: Task = {
  name: 'image-classification',
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: {},
  open(model) {
    const toPixels = openImageInput(model)
    const head = openScores(model)
    return {
      async prepare(request) {
        parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        return {
          rows: await toPixels(onlyImage(request)),
          decode: (outputs) => ({ labels: head.top(outputs, parameters.top_k) }),
        }
      },
      run: openSingleRun(model.session, [head.output]),
    }
  },
}
