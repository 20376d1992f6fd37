import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { dashboardExpressions, dashboards } from './dashboards.ts'

test.each(Object.entries(dashboards))(
  '%s is what the code makes; if not: npm run docs:dashboards',
  async (file, made) => {
    const text = await readFile(new URL(file, import.meta.url), 'utf8')
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(made)))
  },
)

test('every expression of the files is among those that are executed against Prometheus', async () => {
  const texts = await Promise.all(
    Object.keys(dashboards).map(async (file) => readFile(new URL(file, import.meta.url), 'utf8')),
  )
  const written = texts.flatMap((text) => [...text.matchAll(/"expr": (".*"),?$/gm)].map(([, json = '""']) => json))
  expect(written.length).toBe(dashboardExpressions().size)
})
