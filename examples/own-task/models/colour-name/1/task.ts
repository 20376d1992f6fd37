import type { OutputTensor, Task, TaskKit } from '@vision-queue/engine/task-kit'

import { colours } from './colours.ts'

/** What colour an image is on the whole: the graph gives the mean of red, green and blue, this file the nearest name. */
export default ({ z, lacking, onlyImage, openImageInput, openSingleRun, parseInput }: TaskKit): Task => {
  const input = z.strictObject({})
  const parameters = z.strictObject({
    names: z.int().min(1).max(8).default(1).describe('how many names, the nearest first'),
  })

  const namesOf = (mean: OutputTensor | undefined, count: number): { name: string; distance: number }[] => {
    const [red = NaN, green = NaN, blue = NaN] = mean?.data ?? []
    const all = Object.entries(colours).map(([name, [r, g, b]]) => ({
      name,
      distance: Math.hypot(red - r, green - g, blue - b),
    }))
    return all.sort((a, b) => a.distance - b.distance).slice(0, count)
  }

  return {
    name: 'colour-name',
    input,
    parameters,
    output: z.object({ colours: z.array(z.object({ name: z.string(), distance: z.number() })) }),
    sampleInput: {},
    open(model) {
      if (!model.session.outputs.has('logits')) throw lacking(model.folder, 'an output named logits')
      const toPixels = openImageInput(model)
      return {
        // Runs for many jobs at a time, while the batch before is with the model.
        async prepare(request) {
          parseInput(input, request.input, 'input')
          const { names } = parseInput(parameters, request.parameters, 'parameters')
          return {
            rows: await toPixels(onlyImage(request)),
            decode: ({ logits }) => ({ colours: namesOf(logits, names) }),
          }
        },
        // Stacks what was prepared, runs the graph once, and gives each job its part of the outputs.
        run: openSingleRun(model.session, ['logits']),
      }
    },
  }
}
