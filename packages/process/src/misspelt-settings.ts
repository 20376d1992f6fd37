import { isMistyped } from './mistyped-names.ts'
import type { SettingsSchema } from './settings.ts'

/** A variable that nobody reads, and the setting that it may have been meant for. */
export interface MisspeltSetting {
  name: string
  meant: string
}

/**
 * Variables of the environment that are no setting of the schemas and look like one. Only these: what else is in an
 * environment is none of our business.
 */
export function misspeltSettings(
  schemas: readonly SettingsSchema[],
  env: Record<string, string | undefined>,
): MisspeltSetting[] {
  const known = new Set(schemas.flatMap((schema) => Object.keys(schema.shape)))
  return Object.keys(env).flatMap((name) => {
    if (known.has(name)) return []
    const meant = [...known].find((setting) => isMistyped(name, setting.toLowerCase()))
    return meant === undefined ? [] : [{ name, meant }]
  })
}

/** The same for the person who set it. */
export function describeMisspelt({ name, meant }: MisspeltSetting): string {
  return `${name} is set, and is no setting: is ${meant} meant?`
}
