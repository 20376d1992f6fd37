import { z } from 'zod'

import { unavailable } from './folder-files.ts'

/** A chat template in Jinja, and the file of the folder that it is from. */
export interface ChatTemplateFile {
  file: string
  source: string
}

/** What a language model that sees says of itself: Hugging Face's small files, as they are. Empty where there is none. */
export interface ChatFiles {
  /** config.json. */
  config: Record<string, unknown>
  /** preprocessor_config.json, or what stands in its place in processor_config.json. */
  preprocessor: Record<string, unknown>
  /** processor_config.json. */
  processor: Record<string, unknown>
  /** How a conversation becomes a prompt; null: no file says it. */
  template: ChatTemplateFile | null
}

/** What reads a JSON file, and a file of text; null where there is none. */
export interface ChatReaders {
  json: <S extends z.ZodType>(file: string, schema: S) => Promise<z.infer<S> | null>
  text: (file: string) => Promise<string | null>
}

const objectSchema = z.looseObject({})
/** Transformers 5 saves preprocessor_config.json within it. */
const processorSchema = z.looseObject({ image_processor: objectSchema.nullish() })
const namedSchema = z.array(z.looseObject({ name: z.string(), template: z.string() }))
const templatesSchema = z.looseObject({ chat_template: z.union([z.string(), namedSchema]).nullish() })

/** Reads what there is. Rejects with `model_unavailable` naming file and field. */
export async function readChatFiles({ json, text }: ChatReaders): Promise<ChatFiles> {
  const processor = (await json('processor_config.json', processorSchema)) ?? {}
  return {
    config: (await json('config.json', objectSchema)) ?? {},
    preprocessor: (await json('preprocessor_config.json', objectSchema)) ?? processor.image_processor ?? {},
    processor,
    template: await readTemplate({ json, text }),
  }
}

/** The order is that of Hugging Face's processors: a file of its own goes before a field of a larger one. */
async function readTemplate({ json, text }: ChatReaders): Promise<ChatTemplateFile | null> {
  const own = await text('chat_template.jinja')
  if (own !== null) return { file: 'chat_template.jinja', source: own }
  for (const file of ['chat_template.json', 'processor_config.json', 'tokenizer_config.json']) {
    const { chat_template: found } = (await json(file, templatesSchema)) ?? {}
    if (typeof found === 'string') return { file, source: found }
    if (found == null) continue
    const chosen = found.find(({ name }) => name === 'default') ?? found[0]
    if (chosen === undefined) throw unavailable(`${file}: chat_template: a template, or a list with one named default.`)
    return { file, source: chosen.template }
  }
  return null
}
