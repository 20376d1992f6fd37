import { parseHostPatterns } from '@vision-queue/guarded-fetch'
import {
  blobStoreSetting,
  booleanSetting,
  integerSetting,
  logLevelSetting,
  redisUrlSetting,
  retentionSettings,
} from '@vision-queue/process'
import { tracingSettings } from '@vision-queue/tracing'
import { z } from 'zod'

import { originsSetting, parsePorts, publicUrlSetting } from './address-settings.ts'

/** The longest that `Prefer: wait` and `?wait=` hold a request, in seconds: below the idle limits of common proxies. */
export const maxWaitSeconds = 60

const mebibyte = 1024 * 1024

/** What the API reads from its environment. docs/settings.md is written from these descriptions. */
export const apiSettings = z.object({
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'The address to listen on. The default serves this machine only; 0.0.0.0 serves every network it is on, ' +
        'as a container needs.',
    ),
  PORT: integerSetting(0, 65_535).default(3000).describe('The TCP port to listen on; 0 takes a free one.'),
  PUBLIC_URL: publicUrlSetting()
    .default('')
    .describe(
      'Where clients reach the API, if that is not its root: behind a proxy that serves it under a path, such as ' +
        'https://example.com/vq. `Location`, the `urls` of jobs and the `servers` of /openapi.json begin with it. The ' +
        'proxy takes the path off the front. Empty: addresses are paths from the root.',
    ),
  REDIS_URL: redisUrlSetting,
  BLOB_STORE: blobStoreSetting,
  LOG_LEVEL: logLevelSetting,
  MAX_BODY_BYTES: integerSetting(1024, 512 * mebibyte)
    .default(20 * mebibyte)
    .describe(
      'The largest body of a request, in bytes; a larger one is answered 413 before it is read whole. ' +
        'Base64 makes an image a third larger, so keep it above 1.4 times MAX_IMAGE_BYTES. ' +
        'What all of them may hold together is MAX_BODY_BYTES_IN_FLIGHT.',
    ),
  MAX_BODY_BYTES_IN_FLIGHT: integerSetting(0, 1024 ** 4)
    .default(0)
    .describe(
      'How many bytes of bodies may have arrived at a time and not be whole yet, in each API process; beyond it a body ' +
        'is answered 503 with Retry-After, before it is read where Content-Length tells. Bodies over 1 MiB get three ' +
        'quarters of it, and one that stands still for a second gives way. A body becomes whole in twice its size. ' +
        '0: an eighth of the memory of the machine or container, at most 256 MiB. Never less than MAX_BODY_BYTES.',
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
      'How long an accepted job and its images are kept while no consumer has finished it, in milliseconds. ' +
        'Longer than any outage of the consumers that jobs are to survive.',
    ),
  ...retentionSettings,
  JOB_LIST_LENGTH: integerSetting(0, 1_000_000)
    .default(10_000)
    .describe(
      'How many jobs of one owner GET /jobs lists, the newest; 0: none. Older ones can still be read by their ids. ' +
        'Costs Redis about 0.1 KB a job. Failed, canceled and expired jobs have lists of 10,000 of their own.',
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
      'How many bytes all uploads together may hold before POST /images is answered 429. They come on top of ' +
        "QUEUE_MAX_BYTES; keep all of it well below Redis' maxmemory.",
    ),
  IMAGE_URLS: z
    .enum(['off', 'https', 'http+https'], 'expected off, https or http+https')
    .default('off')
    .describe(
      'Whether an image may be given by its address, which the API then fetches: off, https, or http+https. Only ' +
        'public addresses are reached, see docs/url-inputs.md. On for callers you know, or with IMAGE_URL_HOSTS.',
    ),
  IMAGE_URL_HOSTS: z
    .string()
    .refine(
      (list) => parseHostPatterns(list) !== null,
      'expected hosts separated by commas: example.com, *.example.com',
    )
    .default('')
    .describe(
      'The hosts that images are fetched from, separated by commas: names, and `*.example.com` for every name below ' +
        'one. They have to be public all the same. Empty: every public host.',
    ),
  IMAGE_URL_PORTS: z
    .string()
    .refine((list) => parsePorts(list) !== null, 'expected ports separated by commas, such as 80,443')
    .default('80,443')
    .describe('The ports that images are fetched from, separated by commas.'),
  IMAGE_URL_TIMEOUT_MS: integerSetting(100, 60_000)
    .default(5000)
    .describe(
      'How long fetching one image may take, redirects and all, in milliseconds. Below SHUTDOWN_TIMEOUT_MS, or a ' +
        'restart fails submissions; a deadline of a job begins afterwards.',
    ),
  IMAGE_URL_FETCHES: integerSetting(1, 10_000)
    .default(16)
    .describe(
      'How many images each API process fetches at a time; further submissions by address are answered 429. Each may ' +
        'hold MAX_IMAGE_BYTES twice for a moment. Slow hosts can take all of these, and nothing else.',
    ),
  REDIS_COMMAND_TIMEOUT_MS: integerSetting(10, 60_000)
    .default(900)
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
  ALLOW_ANONYMOUS: booleanSetting().describe(
    'true: who has no API key may submit and read; false: nobody may. Not set: where HOST is this machine only. ' +
      'Elsewhere the API does not start before there is a key (`npm run -s vq -- keys create`). See docs/security.md.',
  ),
  ADMIN_KEY: z
    .string()
    .default('')
    .describe(
      'A key for loading, unloading and reloading models and for the metrics, sent as `Authorization: Bearer <key>`, ' +
        'beside the API keys with the scope admin. Long and random, such as `openssl rand -hex 32` makes.',
    ),
  METRICS_TOKEN: z
    .string()
    .default('')
    .describe(
      'What opens /metrics, sent as `Authorization: Bearer <token>`, for a scraper that is to have no other rights. ' +
        'Without it, /metrics is open where ALLOW_ANONYMOUS holds and needs the scope admin elsewhere.',
    ),
  ...tracingSettings,
  KEY_CACHE_MS: integerSetting(0, 60_000)
    .default(1000)
    .describe(
      'How long an API key that was looked up in Redis is taken as it was, in milliseconds: so long may a key that was ' +
        'revoked still open.',
    ),
  SHARE_ANSWERS: booleanSetting().describe(
    'true: an answer that is kept serves whoever asks the same, whatever the API key, and a quick answer tells that ' +
      'somebody did. Otherwise it serves the key that asked.',
  ),
  CORS_ORIGINS: originsSetting()
    .default([])
    .describe(
      'The web pages that may use the API from a browser: their origins, such as https://app.example.com, separated ' +
        'by commas; * for all. Empty: none.',
    ),
  BODY_TIMEOUT_MS: integerSetting(100, 3_600_000)
    .default(30_000)
    .describe(
      'How long the body of a request may take to arrive, in milliseconds, before it is answered 408. ' +
        'MAX_BODY_BYTES over the slowest upload that is still to succeed.',
    ),
  CHAT_WAIT_MS: integerSetting(1000, 24 * 3_600_000)
    .default(600_000)
    .describe(
      'How long POST /v1/chat/completions without `stream` waits for its answer, in milliseconds, before it is answered ' +
        '504 and its jobs are canceled. As long as its clients wait (OpenAI’s own: ten minutes), and below the idle ' +
        'limit of every proxy on the way.',
    ),
  READINESS_MAX_AGE_MS: integerSetting(0, 60_000)
    .default(1000)
    .describe(
      'How old what GET /health/ready tells may be, in milliseconds: it writes to Redis to see whether jobs can be ' +
        'accepted, so often at most.',
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
  SHUTDOWN_TIMEOUT_MS: integerSetting(0, 3_600_000)
    .default(8000)
    .describe(
      'How long running requests may take to finish after SIGTERM or SIGINT, in milliseconds. ' +
        "Below the orchestrator's grace period (Kubernetes: 30 s, Docker: 10 s).",
    ),
})
export type ApiSettings = z.infer<typeof apiSettings>
