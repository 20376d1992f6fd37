import { z } from 'zod'

import { parseRedisUrl } from './redis-url.ts'

/**
 * Settings come from the environment, are described where they are parsed, and are parsed once in
 * each app's `main.ts`. README's tables are written from the same schemas.
 */
export type SettingsSchema = z.ZodObject<Record<string, z.ZodType>>

/** All bad settings at once, by name. */
export class SettingsError extends Error {
  constructor(problems: readonly string[]) {
    super(`These settings can not be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
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
    'Where Redis is. `npm start` brings one up and sets this itself when it is not set. Sentinel: ' +
      '`redis+sentinel://host:26379,host:26379/mymaster`; Cluster: `redis+cluster://host:7000,host:7001`; with ' +
      '`rediss` for TLS. See docs/redis.md.',
  )

export const logLevelSetting = z
  .enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent'], 'expected fatal, error, warn, info, debug or silent')
  .default('info')
  .describe('How much to log, as JSON lines on standard output.')
