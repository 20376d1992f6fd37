import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { modelNameSchema, modelVersionSchema, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { readCharacters, readJson, readLabels, unavailable } from './folder-files.ts'
import {
  generationConfigSchema,
  generatorConfigSchema,
  toGenerationFiles,
  type GenerationFiles,
} from './generation-config.ts'
import { findGraphs, type GraphFile } from './graph-files.ts'
import { modelJsonSchema, type ModelJson } from './model-json.ts'
import { preprocessorConfigSchema, type PreprocessorConfig } from './preprocessor-config.ts'

const id2labelSchema = z
  .record(z.string().regex(/^\d+$/), z.string())
  .transform((labels) => Object.keys(labels).map((_, index) => labels[index]))
  .refine((labels): labels is string[] => !labels.includes(undefined), 'labels numbered from 0 without gaps')
const configJsonSchema = z.looseObject({
  model_type: z.string().nullish(),
  id2label: id2labelSchema.optional(),
  logit_scale: z.number().optional(),
  logit_bias: z.number().optional(),
  logit_scale_init_value: z.number().optional(),
  text_config: z.looseObject({ max_position_embeddings: z.int().min(1).nullish() }).nullish(),
})
type ConfigJson = z.infer<typeof configJsonSchema>

const tokenizerSchema = z.looseObject({
  padding: z
    .looseObject({
      strategy: z.union([z.string(), z.looseObject({ Fixed: z.int().min(1).optional() })]).nullish(),
      direction: z.string().nullish(),
      pad_id: z.int().min(0).nullish(),
      pad_type_id: z.int().min(0).nullish(),
    })
    .nullish(),
  truncation: z.looseObject({ direction: z.string().nullish(), max_length: z.int().min(1).nullish() }).nullish(),
  model: z.looseObject({
    // Old files name no type. One that the library doesn't know would be taken for a list of words.
    type: z.enum(['WordPiece', 'WordLevel', 'BPE', 'Unigram'], 'WordPiece, WordLevel, BPE or Unigram').optional(),
    unk_token: z.string().nullish(),
  }),
})
/** Hugging Face writes 1e30 as the most tokens of a text where there is no limit. */
const unlimited = 1e12
const specialTokenSchema = z.union([z.string(), z.looseObject({ content: z.string() }).transform((t) => t.content)])
const tokenizerConfigSchema = z.looseObject({
  model_max_length: z.number().min(2).optional(),
  pad_token: specialTokenSchema.nullish(),
  unk_token: specialTokenSchema.nullish(),
  padding_side: z.enum(['left', 'right']).nullish(),
  truncation_side: z.enum(['left', 'right']).nullish(),
})

/** A version of a model and where it lies. */
export interface ModelLocation {
  name: string
  version: string
  /** `<repository>/<name>/<version>`. */
  folder: string
}

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
  /** At least one. */
  graphs: GraphFile[]
  /** What cosine similarities are multiplied by, where the files say it. */
  logitScale: number | null
  /** What that factor was when the training began, where the files say it. */
  initialLogitScale: number | null
  /** What is added to them then, where the files say it. */
  logitBias: number | null
  /** Whether config.json says that the model is of the SigLIP kind: a sigmoid for each label, and a bias. */
  isSiglip: boolean
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

/** `tokenizer.json` and `tokenizer_config.json` as they are, and what we read of the latter. */
export interface TokenizerFiles {
  tokenizer: Record<string, unknown>
  config: Record<string, unknown>
  /** What stands for words that the model doesn't know; null where it has none. */
  unknownToken: string | null
  /** In tokens, special ones included; Infinity where the model names no limit. */
  maxLength: number
  padToken: string | null
  /** How a text is filled up; `id` where no token is named. */
  padding: { id: number; typeId: number; side: 'left' | 'right' }
  /** Where a text that is too long is cut. */
  truncationSide: 'left' | 'right'
}

/**
 * Finds `<repository>/<name>/<version>/`; without a version the highest, numbers compared as numbers.
 * Rejects with `model_unavailable`, listing what there is.
 */
export async function findModel(repository: string, name: string, version: string | null): Promise<ModelLocation> {
  const versions = modelNameSchema.safeParse(name).success ? await listVersions(join(repository, name)) : []
  if (versions.length === 0) {
    const known = (await listModels(repository)).join(', ')
    throw new VisionQueueError('model_unavailable', `There is no model ${name}; there are: ${known || 'none'}.`)
  }
  const chosen = version ?? versions.at(-1)
  if (chosen === undefined || !versions.includes(chosen)) {
    throw new VisionQueueError(
      'model_unavailable',
      `${name} has no version ${String(chosen)}; it has: ${versions.join(', ')}.`,
    )
  }
  return { name, version: chosen, folder: join(repository, name, chosen) }
}

/** The names of all models that have a version. */
export async function listModels(repository: string): Promise<string[]> {
  const names = (await listFolders(repository)).filter((entry) => modelNameSchema.safeParse(entry).success)
  const versions = await Promise.all(names.map(async (name) => listVersions(join(repository, name))))
  return names.filter((_, index) => versions[index]?.length !== 0).toSorted()
}

async function listVersions(folder: string): Promise<string[]> {
  const versions = (await listFolders(folder)).filter((entry) => modelVersionSchema.safeParse(entry).success)
  return versions.toSorted(new Intl.Collator('en', { numeric: true }).compare)
}

async function listFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map((entry) => entry.name)
}

/**
 * Reads and checks the small files of a version folder; the graph itself is left to the session.
 * Rejects with `model_unavailable` and a sentence that names the file and the field.
 */
export async function readModelFolder({ name, version, folder }: ModelLocation): Promise<ModelFolder> {
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
  const preprocessor = await read('preprocessor_config.json', preprocessorConfigSchema)
  const tokenizer = await read('tokenizer.json', tokenizerSchema)
  const tokenizerConfig = await read('tokenizer_config.json', tokenizerConfigSchema)
  // All at once: whoever mends a folder wants to know of every problem.
  if (problems.length > 0) throw unavailable(problems.map(({ detail }) => detail).join(' '), problems[0])
  if (model === null) throw unavailable(`${name}/${version}/model.json is missing.`)
  if (tokenizer !== null && tokenizerConfig === null) {
    throw unavailable(`${name}/${version}/tokenizer_config.json is missing beside tokenizer.json.`)
  }
  const generation = await read('generation_config.json', generationConfigSchema)
  const generator = await read('config.json', generatorConfigSchema)
  const graphs = await findGraphs(folder)
  if (graphs.length === 0) throw unavailable(`${name}/${version}/onnx/model.onnx is missing.`)
  const labels = typeof model.labels === 'string' ? await readLabels(place(model.labels)) : model.labels
  return {
    name,
    version,
    task: model.task,
    maxBatchSize: model.max_batch_size,
    labels: labels ?? config?.id2label ?? null,
    characters:
      typeof model.characters === 'string' ? await readCharacters(place(model.characters)) : (model.characters ?? null),
    preprocessing: model.preprocessing ?? preprocessor,
    tokenizer: tokenizer === null || tokenizerConfig === null ? null : toTokenizerFiles(tokenizer, tokenizerConfig),
    generation: toGenerationFiles(generation, generator),
    graphs,
    logitScale: model.logit_scale ?? config?.logit_scale ?? null,
    // Hugging Face's field is a logarithm.
    initialLogitScale: config?.logit_scale_init_value == null ? null : Math.exp(config.logit_scale_init_value),
    logitBias: model.logit_bias ?? config?.logit_bias ?? null,
    isSiglip: isSiglip(config),
    textPadding: {
      always: model.pad_texts_to ?? (isSiglip(config) ? siglipLength(config, tokenizerConfig) : null),
      withoutMask: fixedPadding(tokenizer),
    },
    settings: model,
  }
}

/** tokenizer_config.json counts, and tokenizer.json where it is silent, as in Hugging Face's transformers. */
function toTokenizerFiles(
  tokenizer: z.infer<typeof tokenizerSchema>,
  config: z.infer<typeof tokenizerConfigSchema>,
): TokenizerFiles {
  const { padding, truncation } = tokenizer
  const { model_max_length: stated = Infinity } = config
  const sideOf = (direction: string | null | undefined): 'left' | 'right' =>
    direction?.toLowerCase() === 'left' ? 'left' : 'right'
  return {
    tokenizer,
    config,
    unknownToken: config.unk_token ?? tokenizer.model.unk_token ?? null,
    maxLength: stated < unlimited ? stated : (truncation?.max_length ?? Infinity),
    padToken: config.pad_token ?? null,
    padding: {
      id: padding?.pad_id ?? 0,
      typeId: padding?.pad_type_id ?? 0,
      side: config.padding_side ?? sideOf(padding?.direction),
    },
    truncationSide: config.truncation_side ?? sideOf(truncation?.direction),
  }
}

function isSiglip(config: ConfigJson | null): boolean {
  return config?.model_type?.startsWith('siglip') ?? false
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

function fixedPadding(tokenizer: z.infer<typeof tokenizerSchema> | null): number | null {
  const strategy = tokenizer?.padding?.strategy
  return typeof strategy === 'object' ? (strategy?.Fixed ?? null) : null
}
