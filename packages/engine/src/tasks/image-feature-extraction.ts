import { z } from 'zod'

import type { OutputTensor } from '../onnx/tensor.ts'
import { normalized } from './embedding.ts'
import { openImageInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'

const inputSchema = z.strictObject({})
const parametersSchema = z.strictObject({
  normalize: z
    .boolean()
    .optional()
    .describe("whether the embedding is given the length 1; default: the model's choice"),
})
const outputSchema = z.object({ embedding: z.array(z.number()) })

/**
 * An image as a list of numbers, near those of images like it. The graph gives `image_embeds` or
 * `pooler_output`, ``[N, D]``, or `last_hidden_state`, ``[N, tokens, D]``, of which the first token (or,
 * by model.json's `pooling`, the mean) is taken.
 */
export const imageFeatureExtraction: Task = {
  name: 'image-feature-extraction',
  graphs: [['model'], ['vision_model']],
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: {},
  open(model) {
    const { settings } = model.folder
    const toPixels = openImageInput(model)
    const output = chooseOutput(model, ['image_embeds', 'pooler_output', 'last_hidden_state'])
    return {
      async prepare(request) {
        parseInput(inputSchema, request.input, 'input')
        const parameters = parseInput(parametersSchema, request.parameters, 'parameters')
        return {
          rows: await toPixels(onlyImage(request)),
          decode(outputs) {
            const tensor = outputs[output]
            if (tensor === undefined) throw new Error(`no ${output} came out`)
            const vector = pool(tensor, settings.pooling)
            if (vector.some((value) => !Number.isFinite(value))) throw new Error('the embedding is not a number')
            return { embedding: [...((parameters.normalize ?? settings.normalize) ? normalized(vector) : vector)] }
          },
        }
      },
      run: openSingleRun(model.session, [output]),
    }
  },
}

/** ``[D]``, ``[D, 1, 1]`` as they are; one vector of ``[tokens, D]``. */
function pool({ data, dims }: OutputTensor, pooling: 'cls' | 'mean'): Float32Array {
  const [tokens = 1, size = 1, ...rest] = dims
  if (rest.length > 0 || dims.length < 2) return data
  if (pooling === 'cls') return data.subarray(0, size)
  return Float32Array.from({ length: size }, (_, index) => {
    let sum = 0
    for (let token = 0; token < tokens; token += 1) sum += data[token * size + index] ?? 0
    return sum / tokens
  })
}
