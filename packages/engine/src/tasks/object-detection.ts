import { z } from 'zod'

import { withoutOverlaps } from './box-overlap.ts'
import { openDetectionHead } from './detection-head.ts'
import { toOriginal } from './image-place.ts'
import { openPlacedInput } from './model-inputs.ts'
import { openSingleRun } from './single-run.ts'
import { onlyImage, parseInput, type Task } from './task.ts'

const inputSchema = z.strictObject({})
const parametersSchema = z.strictObject({
  threshold: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("objects of a lower score are left out; default: the model's, or 0.5"),
  max_objects: z.int().min(1).max(1000).default(100).describe('how many objects at most, the surest first'),
})
/** In pixels of the upright original. */
const boxSchema = z.object({ xmin: z.number(), ymin: z.number(), xmax: z.number(), ymax: z.number() })
/** What was found, the surest first. */
export const objectsSchema = z.object({
  objects: z.array(z.object({ label: z.string(), score: z.number().min(0).max(1), box: boxSchema })),
})

/** Which of the folder's labels an image shows, and where. See detection-head.ts for the graphs that do. */
export const objectDetection: Task = {
  name: 'object-detection',
  input: inputSchema,
  parameters: parametersSchema,
  output: objectsSchema,
  sampleInput: {},
  open(model) {
    const toImageRows = openPlacedInput(model)
    const head = openDetectionHead(model)
    const usual = model.folder.settings.detection?.threshold ?? 0.5
    return {
      async prepare(request) {
        parseInput(inputSchema, request.input, 'input')
        const { threshold = usual, max_objects: most } = parseInput(parametersSchema, request.parameters, 'parameters')
        const { rows, place } = await toImageRows(onlyImage(request))
        return {
          rows,
          decode(outputs) {
            const found = withoutOverlaps(head.read(outputs, threshold), head.overlap ?? 1, most)
            const objects = found.map(({ label, score, box }) => ({
              label: head.labels[label] ?? String(label),
              score,
              box: toOriginal(box, place, head.unit),
            }))
            return { objects }
          },
        }
      },
      run: openSingleRun(model.session, head.outputs),
    }
  },
}
