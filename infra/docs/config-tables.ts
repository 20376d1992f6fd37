import { apiSettings } from '@vision-queue/api/config'
import { consumerSettings } from '@vision-queue/consumer/config'
import { describeSettings, type SettingsSchema } from '@vision-queue/process'
import { startSettings } from '@vision-queue/local/config'

/** The tables of docs/settings.md by the name in their markers, `<!-- settings:api -->` to `<!-- /settings:api -->`. */
const schemas: Readonly<Record<string, SettingsSchema>> = {
  start: startSettings,
  api: apiSettings,
  consumer: consumerSettings,
}

/** The text with all tables of settings as the schemas have them now. Throws where a table's markers are missing. */
export function withConfigTables(page: string): string {
  let text = page
  for (const [name, schema] of Object.entries(schemas)) {
    const [open, close] = [`<!-- settings:${name} -->`, `<!-- /settings:${name} -->`]
    const [from, to] = [text.indexOf(open), text.indexOf(close)]
    if (from < 0 || to < from) throw new Error(`docs/settings.md has no ${open} before a ${close}.`)
    text = `${text.slice(0, from)}${open}\n${table(schema)}\n${text.slice(to)}`
  }
  return text
}

function table(schema: SettingsSchema): string {
  const rows = describeSettings(schema).map((setting) => {
    const value = setting.default === '' ? '' : `\`${setting.default}\``
    return `| \`${setting.name}\` | ${value} | ${setting.description.replaceAll('|', String.raw`\|`)} |`
  })
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n')
}
