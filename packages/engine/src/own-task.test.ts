import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { load, removeFolders, runBatch, writeFolder } from '../test/tiny-folder.ts'
import { colourGraph } from '../test/tiny-graphs.ts'

afterAll(removeFolders)

const preprocessor = { 'preprocessor_config.json': { do_rescale: true, do_normalize: false } }

/** A folder without a model.json whose task is this code. */
async function writeCode(code: string, beside: Record<string, string> = {}, name = 'task.ts'): Promise<string> {
  const folder = await writeFolder({}, { 'model.onnx': colourGraph() }, { ...preprocessor, 'model.json': null })
  for (const [file, text] of Object.entries({ [name]: code, ...beside })) await writeFile(join(folder, file), text)
  return folder
}

const brightness = (answer: string): string => `
  import type { Task, TaskKit } from '@vision-queue/engine/task-kit'
  import { sum } from './sum.ts'

  export default ({ z, openImageInput, openSingleRun, onlyImage, parseInput, VisionQueueError }: TaskKit): Task => {
    const parameters = z.strictObject({ times: z.number().default(1) })
    return {
      name: 'brightness',
      input: z.strictObject({}),
      parameters,
      output: z.object({ brightness: z.number() }),
      sampleInput: {},
      open(model) {
        const toPixels = openImageInput(model)
        return {
          async prepare(request) {
            const { times } = parseInput(parameters, request.parameters, 'parameters')
            if (times > 9) throw new VisionQueueError('invalid_input', 'That is too bright.')
            return {
              rows: await toPixels(onlyImage(request)),
              decode: ({ logits }) => (${answer}),
            }
          },
          run: openSingleRun(model.session, ['logits']),
        }
      },
    }
  }`
const sum = {
  'sum.ts': 'export const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0)',
}

describe('code in a model folder', () => {
  it('is its task, with what lies beside it, where it is allowed', async () => {
    const folder = await writeCode(brightness('{ brightness: sum(logits!.data) * times }'), sum)
    const model = await load(folder, { modelCode: true })
    expect(model.manifest).toMatchObject({ task: 'brightness', parametersSchema: { properties: { times: {} } } })
    const answers = await runBatch(model, [{ image: 'white' }, { image: 'red', parameters: { times: 2 } }])
    expect(answers).toEqual([{ brightness: 3 }, { brightness: 2 }])
    const bright = model.prepare({ images: [], input: {}, parameters: { times: 10 } })
    await expect(bright).rejects.toMatchObject({ code: 'invalid_input', detail: 'That is too bright.' })
  })

  it('is refused where it is not allowed, which is the default', async () => {
    const folder = await writeCode(brightness('{ brightness: 1 }'), sum)
    await expect(load(folder)).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringMatching(/^tiny\/1\/task\.ts is code .* MODEL_CODE=on/),
    })
  })

  it.each([
    ['{ brightness: NaN }', 'brightness'],
    ['{ brightness: "1" }', 'brightness'],
    ['undefined', 'expected object'],
  ])('whose answer is %s fails, and says so', async (answer, complaint) => {
    const folder = await writeCode(brightness(answer), sum)
    await expect(load(folder, { modelCode: true })).rejects.toMatchObject({
      detail: expect.stringContaining(complaint),
    })
  })

  it.each([
    ['export default (', 'tiny/1/task.ts can not be compiled: task.ts:1:'],
    [
      'import { sum } from "./sum.ts"\nexport default sum',
      'can not be compiled: task.ts:1:21: Could not resolve "./sum.ts"',
    ],
    ['throw new Error("no luck")', 'failed while it was loaded: no luck'],
    ['export const task = 1', 'failed while it was loaded: default: a function that takes the kit and gives the task'],
    [
      'export default () => ({ name: "Mine" })',
      'gives no task: name: a name of small letters, digits and "-"; input: a schema',
    ],
    [
      'export default ({ z }) => ({ name: "mine", input: z.any(), parameters: z.any(), output: z.any(), sampleInput: {}, open: () => ({}) })',
      'gives no open task: prepare: a function of a job',
    ],
  ])('is named with what is wrong: %j', async (code, complaint) => {
    await expect(load(await writeCode(code), { modelCode: true })).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringContaining(complaint),
    })
  })

  it('may be JavaScript', async () => {
    const code = brightness('{ brightness: 7 }').replaceAll(/import .*|: (TaskKit|Task)\b/g, '')
    const model = await load(await writeCode(code, {}, 'task.js'), { modelCode: true })
    expect(await runBatch(model, [{ image: 'white' }])).toEqual([{ brightness: 7 }])
  })
})
