import { apiSettings } from '@vision-queue/api/config'
import { consumerSettings } from '@vision-queue/consumer/config'
import { startSettings } from '@vision-queue/local/config'
import { misspeltSettings } from '@vision-queue/process'
import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { withConfigTables } from './config-tables.ts'

test('docs/settings.md has the settings as the schemas have them; if not: npm run docs:config', async () => {
  const page = await readFile(new URL('../../docs/settings.md', import.meta.url), 'utf8')

  expect(withConfigTables(page)).toBe(page)
})

test('a stale table is replaced, and what stands around it stays', async () => {
  const markers = ['start', 'api', 'consumer'].map(
    (name) => `<!-- settings:${name} -->\nstale\n<!-- /settings:${name} -->`,
  )
  const text = withConfigTables(`before\n${markers.join('\nbetween\n')}\nafter\n`)

  expect(text).toMatch(/^before\n<!-- settings:start -->\n\| variable /)
  expect(text).toContain('| `PORT` | `3000` | The port of the API. |')
  expect(text).toMatch(/\|\n<!-- \/settings:consumer -->\nafter\n$/)
  expect(text).not.toContain('stale')
})

test('a page without one of the markers is refused', () => {
  expect(() => withConfigTables('no markers')).toThrow('docs/settings.md has no <!-- settings:start -->')
})

test('no setting of one program is taken for a misspelt one of another', () => {
  const schemas = [apiSettings, consumerSettings, startSettings]
  const all = Object.fromEntries(schemas.flatMap((schema) => Object.keys(schema.shape).map((name) => [name, '1'])))
  for (const schema of schemas) expect(misspeltSettings([schema], all)).toEqual([])
})
