import { expect, test } from 'vitest'

import type { StoredFigures } from './figures.ts'
import { renderHtml, renderMarkdown, targetTable } from './report.ts'

const target = {
  name: 'Latency | p99',
  sense: 'at most',
  limit: 420,
  unit: 'ms',
  digits: 1,
  note: null,
  doubt: null,
} as const

const figures: StoredFigures = {
  day: {
    title: 'A day',
    command: 'npm run bench -- --scenario day',
    measuredAt: '2026-11-21T13:14:15.000Z',
    seconds: 60,
    machine: { cores: 2, cpu: 'a CPU', node: '20.20.2', redis: 'Redis 7.0.15', packages: 'sharp 0.35.5' },
    targets: [
      { ...target, measured: 419.96 },
      { ...target, measured: 421 },
      { ...target, measured: null },
      { ...target, measured: 421, doubt: 'neighbours took 34 %' },
    ],
    tables: [{ title: 'Answers', columns: [{ name: 'jobs/s', digits: 1 }], rows: [[138.96], [null]] }],
    charts: [
      {
        kind: 'bars',
        title: 'Jobs',
        x: { label: '' },
        y: { label: '', log: false },
        stacked: false,
        categories: ['a'],
        series: [{ name: 'jobs', values: [1] }],
      },
    ],
    notes: ['How it was done.'],
  },
}

test('each target is shown with what was wanted, what was measured, and whether it is met, if that can be said', () => {
  expect(targetTable(figures).rows.map((row) => row.slice(1, 4))).toEqual([
    ['at most 420 ms', '420.0 ms', 'met'],
    ['at most 420 ms', '421.0 ms', 'not met'],
    ['at most 420 ms', null, 'not measured'],
    ['at most 420 ms', '~ 421.0 ms', 'no verdict: neighbours took 34 %'],
  ])
})

test('both reports say how, when and on what each figure was taken', () => {
  for (const report of [renderMarkdown(figures), renderHtml(figures)]) {
    expect(report).toContain(
      'npm run bench -- --scenario day, 2026-11-21 13:14 UTC, 60 s; 2 cores (a CPU), Node 20.20.2',
    )
    expect(report).toContain('Redis 7.0.15, sharp 0.35.5')
    expect(report).toContain('How it was done.')
    expect(report).toContain('139.0')
  }
})

test('a bar in a name does not break a table, and the HTML needs nothing from elsewhere', () => {
  expect(renderMarkdown(figures)).toContain(String.raw`| Latency \| p99 |`)
  expect(renderHtml(figures)).toContain('<svg')
  expect(renderHtml(figures).replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|src=|<script/)
})
