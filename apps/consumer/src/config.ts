import {
  blobStoreSetting,
  integerSetting,
  logLevelSetting,
  redisUrlSetting,
  retentionSettings,
} from '@vision-queue/process'
import { executionOptionsSchema, type ExecutionOptions } from '@vision-queue/models'
import { mostParts } from '@vision-queue/queue'
import { tracingSettings } from '@vision-queue/tracing'
import { z } from 'zod'

import { loadingSettings } from './fleet/loading-settings.ts'
import { modelSelectionPattern, splitModels } from './fleet/model-policy.ts'
import { remoteSettings } from './fleet/remote-settings.ts'
import { observeSettings } from './observe/observe-settings.ts'

const { providers, providerOptions } = executionOptionsSchema.shape

export const consumerSettings = z.object({
  REDIS_URL: redisUrlSetting,
  ENGINE_REDIS_URL: redisUrlSetting
    .unwrap()
    .optional()
    .describe(
      'The same Redis for the engines, so that they read the images of their jobs themselves, and the bytes do not pass through the consumer: with a user that may do nothing else (docs/security.md). What they can’t read so is read for them. Without it, all is. `npm start` sets it for the Redis that it starts.',
    ),
  BLOB_STORE: blobStoreSetting,
  NODE_EXTRA_CA_CERTS: z
    .string()
    .optional()
    .describe(
      'Node’s own: a file with certificate authorities to trust. Engines with an ENGINE_REDIS_URL of rediss://, or with a BLOB_STORE of its own, are told of it, too.',
    ),
  LOG_LEVEL: logLevelSetting,
  ...observeSettings,
  ...loadingSettings,
  ...tracingSettings,
  MODEL_REPOSITORY: z
    .string()
    .default('models')
    .describe('Folder of the models, `<name>/<version>/` in it. A relative path starts at the project root.'),
  MODEL_CODE: z
    .enum(['off', 'on'])
    .default('off')
    .describe(
      'on: a model whose folder has a task.ts or task.js is served by it. That code runs in the engine, with its rights: switch it on only where you trust whoever writes into the repository. See docs/own-tasks.md.',
    ),
  MODELS: z
    .string()
    .refine(
      (text) => splitModels(text).every((entry) => modelSelectionPattern.test(entry)),
      'expected models separated by commas, each name, name@version, name@*, * or *@*',
    )
    .default('')
    .describe(
      'Models to serve, separated by commas: `name` for its highest version that loads, `name@version` for one, `name@*` for all of them side by side; `*` for every model in the repository, which is what empty means. Versions that an alias stands for are loaded too. Admin calls choose among the versions of these models.',
    ),
  MODEL_POLL_MS: integerSetting(50, 3_600_000)
    .default(2000)
    .describe(
      'How often the repository is looked at for new, changed and removed folders, and Redis for admin calls, in milliseconds. A folder is taken when it is the same at two looks, so keep it above the longest pause of whatever copies models here. On file systems of this machine alone (ext4, XFS, overlay and the like, without links) files are looked at only if the kernel tells of a change, and every 30 s.',
    ),
  ENGINES: integerSetting(0, 256)
    .default(0)
    .describe(
      'Engine processes per loaded version. 0: the CPU cores that this process has (by its CPU quota, too), shared out among the models there are, at least one each. Each needs about 85 MB and the model; more than there are cores is lowered to them, with a warning.',
    ),
  INTRA_OP_THREADS: integerSetting(1, 256)
    .default(1)
    .describe(
      'Threads of one engine inside a session run. More engines of one thread answer more jobs, more threads answer one job sooner. Lowered, with a warning, where engines times threads is more than the cores.',
    ),
  ENGINE_NICENESS: integerSetting(0, 19)
    .default(2)
    .describe(
      'By how much engines give way to other processes on their cores: 0 not at all, 19 wholly. Where API and Redis share the machine, they must not starve behind inference: under overload nobody would be there to refuse. It costs engines nothing on cores of their own; beside a busy program of normal priority 2 leaves them two thirds of its share, 10 a tenth. Raise it where API and engines have their cores to themselves.',
    ),
  LATENCY_OBJECTIVE_MS: integerSetting(0, 3_600_000)
    .default(1000)
    .describe(
      'How long a job may be with its engine once it is decoded, in milliseconds: in its batch and the one before it. Batches are no larger than that allows, going by what they are measured to take. Lower it where answers must be quick and batches are slow (GET /models/{name} shows their cost); it costs throughput, half of it at most; where not even a batch of one fits it is ignored. 0: no bound but the model’s batch size.',
    ),
  ENGINE_MEMORY_LIMIT_MB: integerSetting(0, 16_777_216)
    .default(0)
    .describe(
      'Resident memory of one engine, in MB. From 85 % of it on batches shrink; an engine that is over it after a batch is emptied and replaced, and no job fails. One that takes a quarter more in a run (and twice what it held when it was ready) is killed, and the job that did it fails with engine_crashed; on Linux only. Leave room above what an engine holds at work (85 MB, the model, the pictures of two batches). It says nothing of a GPU’s memory, which onnxruntime-node can’t bound. 0: four fifths of the machine’s or container’s memory, shared out among the engines.',
    ),
  CONCURRENCY: integerSetting(1, 4096)
    .default(64)
    .describe(
      'Jobs of one model held at once, and as many pinned to each of its versions. At least engines x 2 x the batch size, so that a batch can be prepared while one runs; jobs held are lost to other consumers until they finish.',
    ),
  QUEUE_PARTS: integerSetting(1, mostParts)
    .default(1)
    .describe(
      'Over how many parts the queue of each model is spread, each with keys of its own, so that on a Redis Cluster more than one node bears it. The smallest number that the consumers of a model have counts. Each part has its share of QUEUE_MAX_JOBS, QUEUE_MAX_BYTES and CONCURRENCY, and is fair for itself. Only where one Redis core is the limit, and once all API processes and consumers are of a release that knows it. See docs/redis.md.',
    ),
  RUN_TIMEOUT_MS: integerSetting(100, 3_600_000)
    .default(60_000)
    .describe(
      'How long one session run may take, in milliseconds, before its engine is killed and the jobs of that batch are run one by one. Well above the slowest honest batch.',
    ),
  ENGINE_LOAD_TIMEOUT_MS: integerSetting(1000, 24 * 3_600_000)
    .default(300_000)
    .describe(
      'How long an engine may take to load its model and warm it up, in milliseconds, before it is killed and started again. Well above the slowest honest load: read the files once, about 2 s a gigabyte, and build the graph, which takes minutes with tensorrt.',
    ),
  ENGINE_RETRY_MAX_MS: integerSetting(100, 3_600_000)
    .default(10_000)
    .describe(
      'The longest pause before an engine that died is started again, in milliseconds: it begins at 100 and doubles with each death in a row. It is tried for ever; only files that are refused (a bad folder, an unsupported graph) are not tried again before they change or an administrator orders a load.',
    ),
  MAX_IMAGE_PIXELS: integerSetting(1, 1_000_000_000)
    .default(50_000_000)
    .describe('Images of more pixels (width x height) are refused by the decoder. The same as the API’s.'),
  SHRINK_ABOVE_PIXELS: integerSetting(0, 1_000_000_000)
    .default(1_000_000)
    .describe(
      'JPEGs and WebPs of more pixels are shrunk while they are read: in a third to two thirds of the time, a few levels of 255 off what the model was trained on. 0: always; MAX_IMAGE_PIXELS: never.',
    ),
  HEAVY_IMAGE_MB: integerSetting(0, 16_384)
    .default(128)
    .describe(
      'From how many MB on that its decoder holds at a time an image is decoded after the other heavy ones of its engine and not beside them. A progressive JPEG, an interlaced PNG or a lossless WebP of 49 million pixels takes 200 to 400. Lower it where engines have little memory; higher, several such images keep all others waiting. 0: all images of these kinds.',
    ),
  FEATURE_CACHE_MB: integerSetting(0, 1_048_576)
    .default(256)
    .describe(
      'Of models that chat about images (image-text-to-text): how many MB of images’ features each engine keeps, so that a second question about an image skips encoding it. What was asked for longest ago goes. An image of SmolVLM with 13 tiles takes 2 MB, one of LLaVA 9. 0: none are kept, and jobs that ask about the same image at once encode it each.',
    ),
  GENERATION_CACHE_MB: integerSetting(1, 16_777_216)
    .default(1024)
    .describe(
      'Of the same models: how many MB of keys and values the running conversations of one engine may have together. Each reserves what its prompt and its max_new_tokens can take at most: tokens x layers x 2 x heads of keys x their size x 4 bytes (2 in half floats). One that doesn’t fit beside the others waits for them; one that never fits is refused. More lets more answers run together.',
    ),
  ...remoteSettings,
  WARM_UP_LIMIT_MS: integerSetting(1, 3_600_000)
    .default(60_000)
    .describe(
      'After so long the warm-up of an engine tries no larger batch, in milliseconds: the largest that ran is the model’s. For models whose runs take seconds, and for providers that compile for each batch size, which are 1, 2, 4 and so on.',
    ),
  EXECUTION_PROVIDERS: z
    .string()
    .default('cpu')
    .describe(
      'What models run on, the most wanted first, separated by commas: cpu, cuda, tensorrt, webgpu, openvino, coreml, dml. The first that can be used is; why the others can’t is logged and announced. See docs/gpu.md.',
    )
    .refine((list) => providers.safeParse(splitList(list)).success, 'expected names of providers, separated by commas'),
  REQUIRE_PROVIDER: executionOptionsSchema.shape.requireProvider.describe(
    'A provider without which the consumer does not start: rather no answer than a slow one. Empty: none.',
  ),
  VARIANT: executionOptionsSchema.shape.variant.describe(
    'Which of a model’s graphs runs: fp32, fp16, int8, uint8, q4, q4f16 or bnb4. auto: the one that model.json names; else the one the fleet has decided on for these files; else int8 on a CPU with instructions for it, fp16 on other providers, where there is one. Never by time. See docs/models.md.',
  ),
  DEVICE_IDS: z
    .string()
    .default('0')
    .refine((list) => /^\d{1,2}(\s*,\s*\d{1,2})*$/.test(list.trim()), 'expected numbers of GPUs, separated by commas')
    .describe(
      'Which GPUs, as the provider counts them, separated by commas. The engines of a model are placed on them in turn; with several GPUs and ENGINES=0 there is one engine on each.',
    ),
  LD_LIBRARY_PATH: engineVariable('where the loader finds the libraries of CUDA and cuDNN'),
  CUDA_VISIBLE_DEVICES: engineVariable('which GPUs CUDA counts'),
  VK_DRIVER_FILES: engineVariable('which drivers Vulkan uses, for webgpu'),
  VK_ICD_FILENAMES: engineVariable('the same, for older Vulkan loaders'),
  PROVIDER_OPTIONS: z
    .string()
    .default('{}')
    .describe(
      'Options of providers as JSON, such as `{"webgpu":{"preferredLayout":"NHWC"}}`. Those that onnxruntime-node does not pass on are refused; for cuda and tensorrt that is all but DEVICE_IDS.',
    )
    .refine(
      (text) => providerOptions.safeParse(parseJson(text)).success,
      'expected JSON of providers, each with options that onnxruntime-node passes on (docs/gpu.md)',
    ),
  ...retentionSettings,
  ANSWER_TTL_MS: integerSetting(0, 30 * 24 * 3_600_000)
    .default(3_600_000)
    .describe(
      'How long an answer serves other jobs that ask the same of the same model and files, in milliseconds; 0: never. Costs Redis about half a KB an answer. Submissions opt out with `cache: false`, models with `"cache": false` in model.json.',
    ),
  STREAMED_TEXT_MAX_BYTES: integerSetting(0, 1_073_741_824)
    .default(1_048_576)
    .describe(
      'The most bytes of one answer that are sent, and kept in Redis for late readers, while it is generated. What is over it comes with the result.',
    ),
  LOCK_MS: integerSetting(1000, 600_000)
    .default(6000)
    .describe(
      'How long the jobs of a dead consumer stay its own, in milliseconds. Shorter recovers sooner; too short, and a consumer that is only slow loses its jobs to another.',
    ),
  STALLED_CHECK_MS: integerSetting(200, 600_000)
    .default(1500)
    .describe(
      'How often jobs of dead consumers are looked for, in milliseconds. They are taken over after LOCK_MS and two looks at most.',
    ),
  MAX_STALLS: integerSetting(1, 1000)
    .default(5)
    .describe(
      'A job whose consumer died so often while it held the job fails as engine_crashed. After the second time it runs alone.',
    ),
  MAX_ATTEMPTS: integerSetting(1, 100)
    .default(4)
    .describe(
      'How often a job is taken before a failure that may pass (a code marked retryable, such as model_unavailable) is its last. Each time it waits twice as long, from half a second on. Times that it was handed back count, too.',
    ),
  POISON_TTL_MS: integerSetting(0, 30 * 24 * 3_600_000)
    .default(600_000)
    .describe(
      'How long an image that crashed an engine is refused by its model, in milliseconds: other jobs with it fail as engine_crashed at once instead of costing two engines each. 0: never refused.',
    ),
  HEARTBEAT_MS: integerSetting(100, 60_000)
    .default(2000)
    .describe(
      'How often the consumer announces itself, in milliseconds. It counts as gone after three missed heartbeats.',
    ),
  SHUTDOWN_TIMEOUT_MS: integerSetting(0, 3_600_000)
    .default(10_000)
    .describe(
      'After SIGTERM, how long running batches may take to finish, in milliseconds. What is not done by then goes to another consumer. Keep it below the orchestrator’s grace period.',
    ),
})

export type ConsumerSettings = z.infer<typeof consumerSettings>

/** Where and how models run, from the settings. */
export function toExecutionOptions(settings: ConsumerSettings): ExecutionOptions {
  return executionOptionsSchema.parse({
    providers: splitList(settings.EXECUTION_PROVIDERS),
    requireProvider: settings.REQUIRE_PROVIDER,
    variant: settings.VARIANT,
    deviceId: toDeviceIds(settings)[0] ?? 0,
    providerOptions: parseJson(settings.PROVIDER_OPTIONS),
  })
}

/** The GPUs that engines are placed on in turn. */
export function toDeviceIds({ DEVICE_IDS: list }: Pick<ConsumerSettings, 'DEVICE_IDS'>): number[] {
  return splitList(list).map(Number)
}

/** The few variables that engines get: what execution providers look for their libraries and devices by. */
export function toEngineEnvironment(settings: ConsumerSettings): Record<string, string> {
  const names = ['LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const
  return Object.fromEntries(names.flatMap((name) => (settings[name] === undefined ? [] : [[name, settings[name]]])))
}

function engineVariable(what: string): z.ZodType<string | undefined> {
  return z.string().optional().describe(`Handed on to the engines, whose environment is empty otherwise: ${what}.`)
}

function splitList(list: string): string[] {
  return list.split(',').map((name) => name.trim())
}

/** Null where the text is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
