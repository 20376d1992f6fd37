import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { documentedMetrics, withMetricsTables } from './metrics-table.ts'

test('the tables of docs/metrics.md are those of the code; if not: npm run docs:metrics', async () => {
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  expect(withMetricsTables(page)).toBe(page)
})

test("metrics keep to Prometheus' conventions: base units, and _total for counters alone", () => {
  const metrics = documentedMetrics()
  expect(metrics.length).toBeGreaterThan(40)
  const wrong = metrics.filter(({ name, type, help }) => {
    const isCounter = name.endsWith('_total')
    return isCounter !== (type === 'counter') || /_(ms|millis|milliseconds|mb|percent)(_|$)/.test(name) || help === ''
  })
  expect(wrong).toEqual([])
})

test('no label can have as many values as a caller likes', () => {
  const labels = new Set(documentedMetrics().flatMap(({ labelNames }) => labelNames))
  for (const unbounded of ['job', 'job_id', 'request_id', 'owner', 'key', 'path', 'url', 'ip']) {
    expect(labels).not.toContain(unbounded)
  }
})
