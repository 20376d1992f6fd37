import { z } from 'zod'

import { toGreyPng } from '../images/grey-map.ts'
import { mapPlaceOf, maxEdgeSchema } from './map-place.ts'
import { openPlacedInput } from './model-inputs.ts'
import { chooseOutput } from './model-outputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'

const inputSchema = z.strictObject({})
const parametersSchema = z.strictObject({ max_edge: maxEdgeSchema })
const outputSchema = z.object({
  depth: z.string().describe('a grey PNG of 16 bits, as base64: 0 is `min`, 65535 is `max`'),
  min: z.number(),
  max: z.number(),
  width: z.int(),
  height: z.int(),
})

/**
 * How far away everything in an image is. The graph gives `predicted_depth`, ``[N, h, w]`` or ``[N, 1, h, w]``, in a
 * unit of its own: metres of some models; of most the inverse of a distance, so that the nearest has the most.
 */
export const depthEstimation: Task = {
  name: 'depth-estimation',
  input: inputSchema,
  parameters: parametersSchema,
  output: outputSchema,
  sampleInput: {},
  open(model) {
    const toImageRows = openPlacedInput(model)
    const output = chooseOutput(model, ['predicted_depth', 'depth'])
    return {
      async prepare(request) {
        parseInput(inputSchema, request.input, 'input')
        const { max_edge: maxEdge } = parseInput(parametersSchema, request.parameters, 'parameters')
        const { rows, place } = await toImageRows(onlyImage(request))
        return {
          rows,
          async decode({ [output]: tensor }) {
            const [height = 1, width = 1] = tensor?.dims.slice(-2) ?? []
            if (tensor?.data.length !== width * height) throw new Error(`${output} is no map of one image`)
            const { min, max } = rangeOf(tensor.data)
            const factor = max > min ? 65535 / (max - min) : 0
            const values = Uint16Array.from(tensor.data, (depth) => Math.round((depth - min) * factor))
            const target = mapPlaceOf(place, maxEdge)
            const png = await toGreyPng({ width, height, values }, target)
            return { depth: png.toString('base64'), min, max, width: target.width, height: target.height }
          },
        }
      },
      run: openSingleRun(model.session, [output]),
    }
  },
}

function rangeOf(values: Float32Array): { min: number; max: number } {
  let [min, max] = [Infinity, -Infinity]
  for (const value of values) {
    if (!Number.isFinite(value)) throw new Error('a depth is not a number')
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max }
}
