import { z } from 'zod'

/** A model's name and version are folder names and parts of Redis keys, so they are kept plain. */
export const modelNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'a name of small letters, digits, ".", "_" and "-"')

export const modelVersionSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/, 'a version of letters, digits, ".", "_" and "-"')

/** `name`, `name@version` or `name@alias`. */
export const modelReferenceSchema = z.string().regex(/^[^@]{1,64}(@[^@]{1,32})?$/, 'name or name@version')

/** A model's `aliases.json`: versions by alias, e.g. `{"stable": "1"}`. A version of the alias' own name goes before it. */
export const modelAliasesSchema = z.record(modelVersionSchema, modelVersionSchema)
export type ModelAliases = z.infer<typeof modelAliasesSchema>

export function parseModelReference(reference: string): { name: string; version: string | null } {
  const [name = '', version] = reference.split('@')
  return { name, version: version ?? null }
}

const jsonSchemaSchema = z.record(z.string(), z.json())

/** The forms of a model's weights, by the ends of their file names; a file without one is fp32, whatever it holds. */
export const variantNameSchema = z.enum(['fp32', 'fp16', 'int8', 'uint8', 'q4', 'q4f16', 'bnb4'])

/** Which of a version's variants is to run, as consumers keep it in Redis for all that have the same files. */
export const variantDecisionSchema = z.object({
  graph: variantNameSchema,
  /** What about the machine that decided it led to it, e.g. `the CPU has avx512_vnni`. */
  reason: z.string(),
  /** When it was decided, in milliseconds since 1970; null: not kept yet. */
  at: z.int().nullable(),
})
export type VariantDecision = z.infer<typeof variantDecisionSchema>

/** Why a consumer runs a variant: its VARIANT, model.json, what the machine is made for, or what the fleet has decided. */
export const variantChoiceSchema = variantDecisionSchema.extend({
  basis: z.enum(['setting', 'model_json', 'capability', 'fleet']),
})
export type VariantChoice = z.infer<typeof variantChoiceSchema>

/** The fewest and the most images that a job has. */
export const imageCountSchema = z.object({ min: z.int().min(0), max: z.int().min(0) })
export type ImageCount = z.infer<typeof imageCountSchema>

/**
 * What a consumer tells the rest of the world of a model it serves. The API validates submissions
 * against `inputSchema` and `parametersSchema` (JSON Schema 2020-12) and needs no model file.
 */
export const modelManifestSchema = z.object({
  name: modelNameSchema,
  version: modelVersionSchema,
  /** Hugging Face's name of the task, such as `visual-question-answering`. */
  task: z.string(),
  variant: z.string(),
  /** Which of its files each graph runs, by the graph's name: folders may have other variants for each. Absent: of a consumer from before. */
  graphVariants: z.record(z.string(), z.string()).optional(),
  /** Absent: of a consumer from before. */
  choice: variantChoiceSchema.optional(),
  /** The execution provider it runs on, such as `cpu`. */
  provider: z.string(),
  /** The providers that were wanted more and could not be used. */
  refusedProviders: z.array(z.object({ provider: z.string(), reason: z.string() })).optional(),
  maxBatchSize: z.int(),
  /** How many images a job has. Absent: one; see imagesOfManifest. */
  images: imageCountSchema.optional(),
  /** The input without its images. */
  inputSchema: jsonSchemaSchema,
  parametersSchema: jsonSchemaSchema,
  outputSchema: jsonSchemaSchema,
  /** SHA-256 over its files: an answer of other files of the same version is another answer. */
  fingerprint: z.string().optional(),
  /** Whether its answers may serve later jobs that ask the same. */
  cacheable: z.boolean().optional(),
  /** What the model can answer, where that is a fixed list. */
  labels: z.array(z.string()).nullable(),
})
export type ModelManifest = z.infer<typeof modelManifestSchema>

/** How many images a job of the model has; one where its consumer is of a release that didn't say. */
export function imagesOfManifest({ images }: Pick<ModelManifest, 'images'>): ImageCount {
  return images ?? { min: 1, max: 1 }
}

/**
 * Why a batch was launched when it was: it was `full` (more would not have paid); nothing else was being
 * prepared (`idle`); its oldest job had waited as long as a launch costs (`delay`); or its engine was to be
 * emptied (`drain`).
 */
export const launchReasonSchema = z.enum(['full', 'idle', 'delay', 'drain'])
export type LaunchReason = z.infer<typeof launchReasonSchema>

/** What a launch of n jobs takes, as learned from those there were: fixedMs + n x perItemMs. */
export const batchCostSchema = z.object({
  fixedMs: z.number(),
  perItemMs: z.number(),
  /** The 99th percentile of what launches took beyond that. */
  p99OverMs: z.number(),
  /** The size that batches are gathered to: the largest that is worth its latency. */
  batchSize: z.int(),
})
export type BatchCost = z.infer<typeof batchCostSchema>

/** The batches that were answered in one run, explained. */
const launchStatsSchema = z.object({
  /** How many there were by reason, e.g. `{"idle": 40, "full": 2}`. */
  reasons: z.partialRecord(launchReasonSchema, z.int()),
  /** Launches whose cost was predicted, and sums over them: what the cost said before, and what they took. */
  predicted: z.int(),
  predictedMs: z.number(),
  actualMs: z.number(),
})

const byPrioritySchema = z.object({ high: z.int(), normal: z.int(), low: z.int() })

/** Of a model that runs on a server elsewhere. */
const remoteStatsSchema = z.object({
  /** How many jobs the server may have at once, by their priority; it follows what the server says. */
  window: byPrioritySchema,
  /** How many it has. */
  inFlight: byPrioritySchema,
  /** Times that it had no room for a job. */
  refused: z.int(),
})

/** What engines that generate text do with their time and memory. Sums since they started, and what is so now. */
export const generationFiguresSchema = z.object({
  /** Time of their steps by kind, in milliseconds: images were encoded, prompts read, tokens generated. */
  encodeMs: z.number(),
  prefillMs: z.number(),
  decodeMs: z.number(),
  /** Images whose features were there or on their way, and those that had to be encoded. */
  imagesKnown: z.int(),
  imagesNew: z.int(),
  /** Answers that are being generated, and jobs that are prepared and wait for their place. */
  running: z.int(),
  waiting: z.int(),
  /** Of keys and values: what the running answers may come to, by which others are let in; and what they have now. */
  reservedBytes: z.number(),
  heldBytes: z.number(),
  /** The most that may be reserved; 0: they are not counted, of models that only describe images. */
  limitBytes: z.number(),
})
export type GenerationFigures = z.infer<typeof generationFiguresSchema>

/** What a consumer has done with one model since it started. */
export const modelStatsSchema = z.object({
  /** How many session runs there were of each batch size, e.g. `{"1": 3, "8": 12}`. */
  batches: z.record(z.string().regex(/^\d+$/), z.int()),
  /** Finished jobs by final state, e.g. `{"succeeded": 99, "failed": 1}`. */
  jobs: z.record(z.string(), z.int()),
  /** Sums over all session runs and all jobs, in milliseconds. */
  inferenceMs: z.number(),
  preprocessMs: z.number(),
  engineRestarts: z.int(),
  /** Jobs that took the answer of another job which asked the same. */
  reused: z.int().optional(),
  launches: launchStatsSchema.default({ reasons: {}, predicted: 0, predictedMs: 0, actualMs: 0 }),
  /** Null before it is known, and where answers take many runs. */
  cost: batchCostSchema.nullable().default(null),
  /** The GPUs that its engines are placed on in turn, as the provider counts them. Absent: no GPUs were named. */
  devices: z.array(z.int()).optional(),
  /** Absent: it generates nothing, or no engine was ready yet. */
  generation: generationFiguresSchema.optional(),
  /**
   * Jobs a second that its engines get through when they always have work, on the cores and with the inputs of
   * late; null before anything is known.
   */
  capacity: z.number().nullable().default(null),
  /** Absent: of a model that runs in engines of the consumer's own. */
  remote: remoteStatsSchema.optional(),
})
export type ModelStats = z.infer<typeof modelStatsSchema>

/** Of a model that has done nothing yet. */
export const noModelStats: ModelStats = {
  batches: {},
  jobs: {},
  inferenceMs: 0,
  preprocessMs: 0,
  engineRestarts: 0,
  launches: { reasons: {}, predicted: 0, predictedMs: 0, actualMs: 0 },
  cost: null,
  capacity: null,
}

/**
 * How a consumer stands to a version in its repository. `loading`: it will take its jobs once warm, and it is so
 * again if it has lost all its engines and they can't be started;
 * `unloaded`: not selected, or taken out by an order.
 */
export const modelStatusSchema = z.enum(['ready', 'loading', 'failed', 'unloaded'])
export type ModelStatus = z.infer<typeof modelStatusSchema>

/**
 * What an engine does that loads its model: it reads the folder's files, opens its graphs one after the other, warms up
 * by runs.
 */
export const loadStepSchema = z.object({
  step: z.enum(['reading', 'opening', 'warming_up']),
  /** The graph or the run that it is at, from 1 on, and how many there are as far as it knows; null: not counted. */
  at: z.int().min(1).nullable(),
  of: z.int().min(1).nullable(),
})
export type LoadStep = z.infer<typeof loadStepSchema>

export const loadProgressSchema = loadStepSchema.extend({
  /** Since when it does that, in milliseconds since 1970. */
  since: z.int(),
})
export type LoadProgress = z.infer<typeof loadProgressSchema>

/** What an administrator may ask of a model, of one version or of all of them. */
export const modelActionSchema = z.enum(['load', 'unload', 'reload'])
export type ModelAction = z.infer<typeof modelActionSchema>
