import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { ModelLocation } from './find-model.ts'
import { type ChatFiles, readChatFiles } from './chat-files.ts'
import { readCharacters, readJson, readLabels, readText, unavailable } from './folder-files.ts'
import { findCode, ownTask } from './folder-code.ts'
import { readPurpose } from './folder-purpose.ts'
import {
  generationConfigSchema,
  generatorConfigSchema,
  toGenerationFiles,
  type GenerationFiles,
} from './generation-config.ts'
import type { GraphFile } from './graph-files.ts'
import { modelJsonSchema, type ModelJson } from './model-json.ts'
import { preprocessorConfigSchema, type PreprocessorConfig } from './preprocessor-config.ts'
import {
  fixedPadding,
  tokenizerConfigSchema,
  type TokenizerFiles,
  tokenizerSchema,
  toTokenizerFiles,
} from './tokenizer-files.ts'

const id2labelSchema = z
  .record(z.string().regex(/^\d+$/), z.string())
  .transform((labels) => Object.keys(labels).map((_, index) => labels[index]))
  .refine((labels): labels is string[] => !labels.includes(undefined), 'labels numbered from 0 without gaps')
const dtypeSchema = z.union([z.string(), z.record(z.string(), z.string())])
const configJsonSchema = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string().nullish(),
  problem_type: z.string().nullish(),
  id2label: id2labelSchema.nullish(),
  pretrained_cfg: z.looseObject({}).nullish(),
  label_names: z.array(z.string()).nullish(),
  logit_scale: z.number().nullish(),
  logit_bias: z.number().nullish(),
  logit_scale_init_value: z.number().nullish(),
  'transformers.js_config': z.looseObject({ dtype: dtypeSchema.nullish() }).nullish(),
  text_config: z.looseObject({ max_position_embeddings: z.int().min(1).nullish() }).nullish(),
})
type ConfigJson = z.infer<typeof configJsonSchema>

/** A model's files, read and checked. What a task needs and the folder lacks is null. */
export interface ModelFolder {
  name: string
  version: string
  task: string
  maxBatchSize: number
  /** The answers by the index of their logit. */
  labels: string[] | null
  /** What a text recogniser's scores are of, in their order without the blank; null where model.json doesn't say it. */
  characters: string[] | null
  /** preprocessor_config.json, or model.json's `preprocessing`. */
  preprocessing: PreprocessorConfig | null
  tokenizer: TokenizerFiles | null
  /** What the files say about generating; of a model that doesn't generate, nothing. */
  generation: GenerationFiles
  /** Of a model that chats about images; null of others. */
  chat: ChatFiles | null
  /** At least one. */
  graphs: GraphFile[]
  /** The file in the folder that is the model's task, `task.ts` or `task.js`; null: there is none. */
  code: string | null
  /** What cosine similarities are multiplied by, where the files say it. */
  logitScale: number | null
  /** What that factor was when the training began, where the files say it. */
  initialLogitScale: number | null
  /** What is added to them then, where the files say it. */
  logitBias: number | null
  /** Whether config.json says that the model is of the SigLIP kind: a sigmoid for each label, and a bias. */
  isSiglip: boolean
  /** Whether config.json says that each label's score is a sigmoid of its own, not a share of all. */
  scoresApart: boolean
  /** By graph, or for all of them: the variant that the folder's author recommends to Transformers.js; null where none. */
  recommended: string | Record<string, string> | null
  textPadding: TextPadding
  settings: ModelJson
}

/** The lengths that the files give for texts, in tokens; null where they give none. */
export interface TextPadding {
  /** Of every text, whatever inputs the graph has: model.json's, or what models of the SigLIP kind are trained with. */
  always: number | null
  /** Of texts for a graph that can't be told where a text ends: tokenizer.json's. */
  withoutMask: number | null
}

/**
 * Reads and checks the small files of a version folder; the graph itself is left to the session. `tasks`: those of
 * this release; null takes any. Rejects with `model_unavailable` and a sentence that names the file and the field, or says
 * what the folder is and lacks.
 */
export async function readModelFolder(
  location: ModelLocation,
  tasks: readonly string[] | null = null,
): Promise<ModelFolder> {
  const { name, version, folder } = location
  const place = (file: string) => ({ folder, shownAs: `${name}/${version}/${file}`, file })
  const problems: VisionQueueError[] = []
  const read = async <S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S> | null> =>
    readJson(place(file), schema).catch((error: unknown) => {
      if (!(error instanceof VisionQueueError)) throw error
      problems.push(error)
      return null
    })

  const model = await read('model.json', modelJsonSchema)
  const config = await read('config.json', configJsonSchema)
  const code = await findCode(folder)
  // What a folder is for goes before what is wrong with it: nobody mends files for a task that isn't there.
  const said = {
    task: model?.task ?? (code === null ? null : ownTask),
    architectures: config === null ? null : (config.architectures ?? []),
  }
  const purpose = problems.length === 0 ? await readPurpose(location, said, code === null ? tasks : null) : null
  const preprocessor = await readPreprocessor(read, config)
  const tokenizer = await read('tokenizer.json', tokenizerSchema)
  const tokenizerConfig = await read('tokenizer_config.json', tokenizerConfigSchema)
  const generation = await read('generation_config.json', generationConfigSchema)
  const generator = await read('config.json', generatorConfigSchema)
  // All at once: whoever mends a folder wants to know of every problem.
  if (problems.length > 0) throw unavailable([...new Set(problems.map(({ detail }) => detail))].join(' '), problems[0])
  const { task, graphs } = purpose ?? (await readPurpose(location, said, code === null ? tasks : null))
  if (tokenizer !== null && tokenizerConfig === null) {
    throw unavailable(`${name}/${version}/tokenizer_config.json is missing beside tokenizer.json.`)
  }
  const settings = model ?? modelJsonSchema.parse({ task })
  const labels = typeof settings.labels === 'string' ? await readLabels(place(settings.labels)) : settings.labels
  return {
    name,
    version,
    task,
    code,
    maxBatchSize: settings.max_batch_size,
    labels: labels ?? config?.id2label ?? config?.label_names ?? null,
    characters:
      typeof settings.characters === 'string'
        ? await readCharacters(place(settings.characters))
        : (settings.characters ?? null),
    preprocessing: settings.preprocessing ?? preprocessor,
    tokenizer: tokenizer === null || tokenizerConfig === null ? null : toTokenizerFiles(tokenizer, tokenizerConfig),
    generation: toGenerationFiles(generation, generator),
    chat:
      task === chatTask
        ? await readChatFiles({
            json: async (file, schema) => readJson(place(file), schema),
            text: async (file) => readText(place(file)),
          })
        : null,
    graphs,
    logitScale: settings.logit_scale ?? config?.logit_scale ?? null,
    // Hugging Face's field is a logarithm.
    initialLogitScale: config?.logit_scale_init_value == null ? null : Math.exp(config.logit_scale_init_value),
    logitBias: settings.logit_bias ?? config?.logit_bias ?? null,
    isSiglip: isSiglip(config),
    scoresApart: scoresApart(config),
    recommended: config?.['transformers.js_config']?.dtype ?? null,
    textPadding: {
      always: settings.pad_texts_to ?? (isSiglip(config) ? siglipLength(config, tokenizerConfig) : null),
      withoutMask: fixedPadding(tokenizer),
    },
    settings,
  }
}

/** The task whose models' small files are read by their families. */
const chatTask = 'image-text-to-text'

type Read = <S extends z.ZodType>(file: string, schema: S) => Promise<z.infer<S> | null>

const processorConfigSchema = z.looseObject({ image_processor: preprocessorConfigSchema.nullish() })

/** preprocessor_config.json; of a timm model, whose config.json has the settings, that file names the model at most. */
async function readPreprocessor(read: Read, config: ConfigJson | null): Promise<PreprocessorConfig | null> {
  const cfg = config?.pretrained_cfg
  if (cfg == null) {
    const file = await read('preprocessor_config.json', preprocessorConfigSchema)
    if (file !== null) return file
    // Transformers 5 saves it in a file with the rest of what prepares inputs.
    return (await read('processor_config.json', processorConfigSchema))?.image_processor ?? null
  }
  const own = await read('preprocessor_config.json', z.looseObject({}))
  if (own !== null && ('size' in own || 'pretrained_cfg' in own)) {
    return read('preprocessor_config.json', preprocessorConfigSchema)
  }
  const parsed = preprocessorConfigSchema.safeParse({ pretrained_cfg: cfg })
  return parsed.success ? parsed.data : null
}

function isSiglip(config: ConfigJson | null): boolean {
  return config?.model_type?.startsWith('siglip') ?? false
}

/** Models that were trained to say yes or no to each label, as Hugging Face's pipelines judge them. */
function scoresApart(config: ConfigJson | null): boolean {
  return config?.problem_type === 'multi_label_classification' || config?.model_type === 'vilt'
}

/**
 * Texts of SigLIP models are always padded to the length of the training, which is the number of positions,
 * 64 unless config.json says otherwise (SiglipTextConfig and Siglip2TextConfig of Hugging Face's transformers).
 */
function siglipLength(
  config: ConfigJson | null,
  tokenizerConfig: z.infer<typeof tokenizerConfigSchema> | null,
): number {
  return Math.min(config?.text_config?.max_position_embeddings ?? 64, tokenizerConfig?.model_max_length ?? Infinity)
}
