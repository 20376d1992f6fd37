import { z } from 'zod'

import { parseBlobStore } from './blob-store-url.ts'
import { PlainError } from './plain-error.ts'
import { parseRedisUrl } from './redis-url.ts'

/**
 * Settings come from the environment, are described where they are parsed, and are parsed once in
 * each app's `main.ts`. The tables of docs/settings.md are written from the same schemas.
 */
export type SettingsSchema = z.ZodObject<Record<string, z.ZodType>>

/** All bad settings at once, by name. */
export class SettingsError extends PlainError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`These settings can not be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
    this.problems = problems
  }
}

/** An empty variable counts as not set. Throws SettingsError. */
export function parseSettings<S extends SettingsSchema>(
  schema: S,
  env: Record<string, string | undefined>,
): z.infer<S> {
  const set = Object.fromEntries(
    Object.keys(schema.shape).flatMap((name) => {
      const value = env[name]
      return value === undefined || value === '' ? [] : [[name, value]]
    }),
  )
  const parsed = schema.safeParse(set)
  if (parsed.success) return parsed.data
  throw new SettingsError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
}

/**
 * The settings of two parts of one process, each by its own schema. Throws SettingsError with what is wrong in either,
 * once where both say the same.
 */
export function parseBoth<A extends SettingsSchema, B extends SettingsSchema>(
  first: A,
  second: B,
  env: Record<string, string | undefined>,
): [z.infer<A>, z.infer<B>] {
  const problems = new Set<string>()
  const parse = <S extends SettingsSchema>(schema: S): z.infer<S> | null => {
    try {
      return parseSettings(schema, env)
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      for (const problem of error.problems) problems.add(problem)
      return null
    }
  }
  const [one, other] = [parse(first), parse(second)]
  if (one === null || other === null) throw new SettingsError([...problems])
  return [one, other]
}

export interface SettingDescription {
  name: string
  /** As it would be written in the environment; '' where there is none. */
  default: string
  description: string
}

export function describeSettings(schema: SettingsSchema): SettingDescription[] {
  return Object.entries(schema.shape).map(([name, setting]) => {
    const parsed = setting.safeParse(undefined)
    const value = parsed.success ? parsed.data : undefined
    return {
      name,
      default: value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value),
      description: setting.description ?? '',
    }
  })
}

/** A whole number from the environment, in a range. */
export function integerSetting(min: number, max: number): z.ZodType<number> {
  const expected = `expected a whole number from ${min} to ${max}`
  return z.coerce.number(expected).int(expected).min(min, expected).max(max, expected)
}

/** `true` or `false` from the environment; undefined where it is not set. */
export function booleanSetting(): z.ZodType<boolean | undefined> {
  return z
    .enum(['true', 'false'], 'expected true or false')
    .transform((value) => value === 'true')
    .optional()
}

export const redisUrlSetting = z
  .string()
  .superRefine((url, context) => {
    try {
      parseRedisUrl(url)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
    }
  })
  .default('redis://127.0.0.1:6379')
  .describe(
    'Where Redis is. `npm start` brings one up and sets this itself when it is not set. rediss:// for TLS, ' +
      'rediss://user:password@host:port for an ACL user (docs/security.md). A Unix socket: `redis+unix:///run/redis.sock`. Sentinel: ' +
      '`redis+sentinel://host:26379,host:26379/mymaster`; Cluster: `redis+cluster://host:7000,host:7001`; with ' +
      '`rediss` for TLS. See docs/redis.md.',
  )

export const blobStoreSetting = z
  .string()
  .superRefine((text, context) => {
    try {
      parseBlobStore(text)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
    }
  })
  .default('redis')
  .describe(
    'Where the bytes of large images are kept: `redis`, or a bucket of a service that speaks the S3 protocol, ' +
      '`s3://bucket/prefix?region=eu-central-1`; `&endpoint=https://host:port` and `&path_style=true` for one that is ' +
      'not AWS; images under `from_bytes` (16384) stay in Redis. Credentials are found as the AWS SDK does ' +
      '(AWS_ACCESS_KEY_ID, a profile, a role). One prefix belongs to one Redis: what nothing in Redis names is deleted ' +
      'there after an hour. The same for API and consumers. See docs/blob-store.md.',
  )

export const logLevelSetting = z
  .enum(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'expected fatal, error, warn, info, debug, trace or silent',
  )
  .default('info')
  .describe('How much to log, as JSON lines on standard output.')

/** How long what ended is kept; API and consumers write final states, so both read these. */
export const retentionSettings = {
  RESULT_TTL_MS: integerSetting(1000, 30 * 24 * 3_600_000)
    .default(3_600_000)
    .describe(
      'How long the result of a succeeded job can be fetched, in milliseconds. Longer costs Redis memory, about 1 KB a job. The same for API and consumers.',
    ),
  FAILED_RESULT_TTL_MS: integerSetting(1000, 90 * 24 * 3_600_000)
    .default(24 * 3_600_000)
    .describe(
      'How long a failed, canceled or expired job can be fetched and is listed, in milliseconds. The same for API and consumers.',
    ),
  RESULT_MAX_BYTES: integerSetting(0, 1024 ** 4)
    .default(1024 ** 3)
    .describe(
      'How many bytes the results of succeeded jobs of one owner (a key; all who have none are one) may hold for RESULT_TTL_MS. Results beyond that are kept for two minutes instead, which their expires_at says. About 1 KB a job, and its metadata. The same for API and consumers.',
    ),
  FAILED_RESULT_MAX_BYTES: integerSetting(0, 1024 ** 4)
    .default(64 * 1024 * 1024)
    .describe(
      'How many bytes the failed, canceled and expired jobs of one owner may hold for FAILED_RESULT_TTL_MS. Those beyond that are kept for two minutes instead, with their images. About 3 KB a job, and its inputs and metadata. The same for API and consumers.',
    ),
  FAILED_PAYLOAD_TTL_MS: integerSetting(0, 30 * 24 * 3_600_000)
    .default(3_600_000)
    .describe(
      'How long the image of a failed, canceled or expired job is kept, so that the job can be run again, in milliseconds; 0: not at all. Uploaded images have their own time, IMAGE_TTL_MS. The same for API and consumers.',
    ),
  FAILED_PAYLOAD_MAX_BYTES: integerSetting(0, 1024 ** 4)
    .default(256 * 1024 * 1024)
    .describe(
      'How many bytes such images may hold for one model, beside QUEUE_MAX_BYTES; beyond it they are not kept. The same for API and consumers.',
    ),
}

/** retentionSettings as the transport takes them. */
export interface Retention {
  /** How long the result of a succeeded job can be read, in milliseconds. */
  resultTtlMs: number
  /** The same for failed, canceled and expired jobs. */
  failedResultTtlMs: number
  /** The most bytes that one owner's succeeded jobs hold for so long; those beyond are kept for two minutes. */
  resultMaxBytes: number
  /** The same for failed, canceled and expired jobs. */
  failedResultMaxBytes: number
  /** How long the image of such a job is kept. 0: not at all. */
  failedPayloadTtlMs: number
  /** The most bytes of such images for one model. */
  failedPayloadMaxBytes: number
}

export function toRetention(settings: Record<keyof typeof retentionSettings, number>): Retention {
  return {
    resultTtlMs: settings.RESULT_TTL_MS,
    failedResultTtlMs: settings.FAILED_RESULT_TTL_MS,
    resultMaxBytes: settings.RESULT_MAX_BYTES,
    failedResultMaxBytes: settings.FAILED_RESULT_MAX_BYTES,
    failedPayloadTtlMs: settings.FAILED_PAYLOAD_TTL_MS,
    failedPayloadMaxBytes: settings.FAILED_PAYLOAD_MAX_BYTES,
  }
}
