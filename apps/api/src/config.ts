import { integerSetting, logLevelSetting, redisUrlSetting } from '@vision-queue/jobs'
import { z } from 'zod'

/** The longest that `Prefer: wait` and `?wait=` hold a request, in seconds: below the idle limits of common proxies. */
export const maxWaitSeconds = 60

const mebibyte = 1024 * 1024

/** What the API reads from its environment. README's table is written from these descriptions. */
export const apiSettings = z.object({
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'The address to listen on. The default serves this machine only; 0.0.0.0 serves every network it is on, ' +
        'as a container needs.',
    ),
  PORT: integerSetting(0, 65_535).default(3000).describe('The TCP port to listen on; 0 takes a free one.'),
  REDIS_URL: redisUrlSetting,
  LOG_LEVEL: logLevelSetting,
  MAX_BODY_BYTES: integerSetting(1024, 512 * mebibyte)
    .default(20 * mebibyte)
    .describe(
      'The largest body of a request, in bytes; a larger one is answered 413 before it is read whole. ' +
        'Base64 makes an image a third larger, so keep it above 1.4 times MAX_IMAGE_BYTES. ' +
        'Every upload in progress may hold so much memory.',
    ),
  MAX_IMAGE_BYTES: integerSetting(1024, 512 * mebibyte)
    .default(10 * mebibyte)
    .describe('The largest image, in bytes as a file. A photo of 12 megapixels is a JPEG of 3 to 6 million bytes.'),
  MAX_IMAGE_PIXELS: integerSetting(1, 1_000_000_000)
    .default(50_000_000)
    .describe(
      'The most pixels (width times height) an image may have by its header. Keep it at or below the ' +
        "consumers' MAX_IMAGE_PIXELS: an image over theirs would be accepted here and fail there.",
    ),
  MAX_INPUT_BYTES: integerSetting(256, 16 * mebibyte)
    .default(65_536)
    .describe(
      'The most that text inputs, parameters and metadata of a job may take together as JSON, in bytes. ' +
        'They travel inside the queue, so raise it only for models with long prompts or label lists.',
    ),
  ANSWER_MEMORY_BYTES: integerSetting(0, 1024 ** 4)
    .default(32 * mebibyte)
    .describe(
      'How much of its own memory each API process may use for answers that it has met lately, in bytes: a ' +
        'repeated question that is among them is not even asked in Redis. 0: none. How long answers are kept ' +
        'is the consumers’ ANSWER_TTL_MS.',
    ),
  QUEUE_MAX_JOBS: integerSetting(1, 10_000_000)
    .default(1000)
    .describe(
      'How many unfinished jobs of one model are accepted before submissions are answered 429. ' +
        'Roughly the jobs that the consumers finish in the time that callers are willing to wait.',
    ),
  QUEUE_MAX_BYTES: integerSetting(1024, 1024 ** 4)
    .default(1024 ** 3)
    .describe(
      'How many bytes of images the unfinished jobs of one model may hold before submissions are answered 429. ' +
        "Keep the sum over all models well below Redis' maxmemory.",
    ),
  PAYLOAD_TTL_MS: integerSetting(1000, 30 * 24 * 3_600_000)
    .default(24 * 3_600_000)
    .describe(
      'How long an accepted job and its image are kept while no consumer has finished it, in milliseconds. ' +
        'Longer than any outage of the consumers that jobs are to survive.',
    ),
  ORPHAN_CHECK_MS: integerSetting(100, 3_600_000)
    .default(10_000)
    .describe(
      'How often submissions that broke off half-way are looked for, in milliseconds: their places in QUEUE_MAX_JOBS ' +
        'are given back at the second look.',
    ),
  IMAGE_TTL_MS: integerSetting(1000, 30 * 24 * 3_600_000)
    .default(3_600_000)
    .describe(
      'How long an uploaded image (POST /images) can be used after it was last uploaded or used, in milliseconds. ' +
        'Jobs that use it keep it for themselves until they are final.',
    ),
  MAX_UPLOADED_BYTES: integerSetting(1024, 1024 ** 4)
    .default(512 * mebibyte)
    .describe(
      'How many bytes all uploaded images together may hold before POST /images is answered 429. They come on top of ' +
        "QUEUE_MAX_BYTES; keep all of it well below Redis' maxmemory.",
    ),
  REDIS_COMMAND_TIMEOUT_MS: integerSetting(10, 60_000)
    .default(1000)
    .describe(
      'How long Redis may take to answer one command before the caller gets 503, in milliseconds. ' +
        'Well above the time that the largest image takes to reach Redis.',
    ),
  DEFAULT_MODEL: z
    .string()
    .default('shapes-vqa')
    .describe('The model of submissions that name none. Where there is no such model, the only one there is.'),
  MODELS_REFRESH_MS: integerSetting(10, 60_000)
    .default(1000)
    .describe('How old the list of models that consumers announced may be, in milliseconds.'),
  ADMIN_KEY: z
    .string()
    .default('')
    .describe(
      'The key for loading, unloading and reloading models over HTTP, sent as `Authorization: Bearer <key>`. ' +
        'Long and random, such as `openssl rand -hex 32` makes. Without it these routes answer 403.',
    ),
  BODY_TIMEOUT_MS: integerSetting(100, 3_600_000)
    .default(30_000)
    .describe(
      'How long the body of a request may take to arrive, in milliseconds, before it is answered 408. ' +
        'MAX_BODY_BYTES over the slowest upload that is still to succeed.',
    ),
  SSE_HEARTBEAT_MS: integerSetting(100, 3_600_000)
    .default(15_000)
    .describe(
      'How often a comment is sent on a quiet event stream, in milliseconds. Below the idle limit of every proxy ' +
        'on the way, or they cut the stream.',
    ),
  DRAIN_MS: integerSetting(0, 600_000)
    .default(500)
    .describe(
      'How long after SIGTERM or SIGINT requests are still taken, in milliseconds, each the last on its connection. ' +
        'Longer than clients and balancers pause on a connection that they use again.',
    ),
  SHUTDOWN_TIMEOUT_MS: integerSetting(0, 600_000)
    .default(8000)
    .describe(
      'How long running requests may take to finish after SIGTERM or SIGINT, in milliseconds. ' +
        "Below the orchestrator's grace period (Kubernetes: 30 s, Docker: 10 s).",
    ),
})
export type ApiSettings = z.infer<typeof apiSettings>
