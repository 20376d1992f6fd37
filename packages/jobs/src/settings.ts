import { z } from 'zod'

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

/** `true` or `false` from the environment; undefined where it is not set. */
export function booleanSetting(): z.ZodType<boolean | undefined> {
  return z
    .enum(['true', 'false'], 'expected true or false')
    .transform((value) => value === 'true')
    .optional()
}

export const redisUrlSetting = z
  .url({ protocol: /^rediss?$/, message: 'expected redis://host:port or rediss://host:port' })
  .default('redis://127.0.0.1:6379')
  .describe(
    'Where Redis is. `npm start` brings one up and sets this itself when it is not set. rediss:// for TLS, rediss://user:password@host:port for an ACL user: docs/security.md.',
  )

export const logLevelSetting = z
  .enum(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'expected fatal, error, warn, info, debug, trace or silent',
  )
  .default('info')
  .describe('How much to log, as JSON lines on standard output.')
