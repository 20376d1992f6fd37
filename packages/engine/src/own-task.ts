import { join } from 'node:path'

import { type ModelFolder, ownTask } from '@vision-queue/models'
import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { type TaskKit, taskKit } from './task-kit.ts'
import type { OpenTask, SingleRunTask, Task } from './tasks/task.ts'

const functionSchema = <F>(expected: string) => z.custom<F>((value) => typeof value === 'function', expected)
const schemaSchema = z.custom<z.ZodType>((value) => value instanceof z.ZodType, "a schema of the kit's z")
const countSchema = z.int().min(0).max(64)
const taskSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'a name of small letters, digits and "-"'),
  input: schemaSchema,
  parameters: schemaSchema,
  output: schemaSchema,
  sampleInput: z.record(z.string(), z.unknown()),
  sampleParameters: z.record(z.string(), z.unknown()).optional(),
  images: z.strictObject({ min: countSchema, max: countSchema }).optional(),
  graphs: z.array(z.array(z.string())).optional(),
  runsAlone: z.boolean().optional(),
  open: functionSchema<Task['open']>('a function that takes the model'),
})
const answerSchema = z.record(z.string(), z.json())
const openedSchema = z.object({
  prepare: functionSchema<SingleRunTask['prepare']>('a function of a job'),
  run: functionSchema<SingleRunTask['run']>('a function of the items of a batch'),
})
const moduleSchema = z.object({
  default: functionSchema<(kit: TaskKit) => unknown>('a function that takes the kit and gives the task'),
})

/**
 * The task that a model's folder brings along, `export default (kit: TaskKit): Task => ({...})`. It is bundled with
 * what it imports from files beside it; modules of others it can't import, but for Node's. Rejects with
 * `model_unavailable`: where code is not allowed, and with the place of what is wrong with it.
 */
export async function loadOwnTask(
  { name, version, task, code }: Pick<ModelFolder, 'name' | 'version' | 'task' | 'code'>,
  folder: string,
  allowed: boolean,
): Promise<Task> {
  if (code === null) throw new Error('the folder has no code')
  const shown = `${name}/${version}/${code}`
  if (!allowed) {
    const sentence = `${shown} is code that would run in the engine, which is switched off. MODEL_CODE=on of the consumer switches it on, for all models of its repository.`
    throw new VisionQueueError('model_unavailable', sentence)
  }
  const source = await bundle(folder, code).catch((error: unknown) => {
    throw unusable(shown, 'can not be compiled', error)
  })
  let made: unknown
  try {
    const url = `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`
    made = moduleSchema.parse(await import(url)).default(taskKit)
  } catch (error) {
    throw unusable(shown, 'failed while it was loaded', error)
  }
  const parsed = taskSchema.safeParse(made)
  if (!parsed.success) throw unusable(shown, 'gives no task', parsed.error)
  const { images, graphs, runsAlone, sampleParameters, open, ...rest } = parsed.data
  return {
    ...rest,
    name: task === ownTask ? rest.name : task,
    ...(images === undefined ? {} : { images }),
    ...(graphs === undefined ? {} : { graphs }),
    ...(runsAlone === undefined ? {} : { runsAlone }),
    ...(sampleParameters === undefined ? {} : { sampleParameters }),
    open: async (model) => checked(await open(model), rest.output, shown),
  }
}

/** What it answers is checked: a number that JSON doesn't have would come out as null, and one answer too few would be another job's. */
function checked(opened: OpenTask, output: z.ZodType, shown: string): OpenTask {
  const parsed = openedSchema.safeParse(opened)
  if (!parsed.success) throw unusable(shown, 'gives no open task', parsed.error)
  const { prepare, run } = parsed.data
  return {
    prepare,
    async run(items) {
      const answers = await run(items)
      if (!Array.isArray(answers) || answers.length !== items.length) {
        throw new Error(
          `${shown}: run gave ${Array.isArray(answers) ? answers.length : 'no list of'} answers for ${items.length} items`,
        )
      }
      return answers.map((answer) => {
        if (answer instanceof Error) return answer
        const fits = output.pipe(answerSchema).safeParse(answer)
        return fits.success
          ? fits.data
          : new Error(`${shown}: an answer is not as its output schema says: ${reasonOf(fits.error)}`)
      })
    },
  }
}

async function bundle(folder: string, code: string): Promise<string> {
  // Only models with code of their own need it.
  const { buildSync } = await import('esbuild')
  const { outputFiles } = buildSync({
    entryPoints: [join(folder, code)],
    absWorkingDir: folder,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    sourcemap: 'inline',
  })
  return outputFiles[0]?.text ?? ''
}

/** With the first line that says what is wrong: of esbuild's it has file, line and column. */
function unusable(shown: string, what: string, cause: unknown): VisionQueueError {
  return new VisionQueueError('model_unavailable', `${shown} ${what}: ${reasonOf(cause).slice(0, 500)}`, { cause })
}

const buildFailureSchema = z.object({
  errors: z
    .array(
      z.object({
        text: z.string(),
        location: z.object({ file: z.string(), line: z.number(), column: z.number() }).nullish(),
      }),
    )
    .min(1),
})

function reasonOf(cause: unknown): string {
  const failure = buildFailureSchema.safeParse(cause)
  const [first] = failure.success ? failure.data.errors : []
  if (first !== undefined) {
    const { location, text } = first
    return location == null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`
  }
  if (cause instanceof z.ZodError) {
    return cause.issues.map(({ path, message }) => `${path.join('.') || 'default'}: ${message}`).join('; ')
  }
  return cause instanceof Error ? cause.message : String(cause)
}
