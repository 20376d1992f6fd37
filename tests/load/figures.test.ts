import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { isMet, type Measured, measuredSchema, mergeFigures, readFigures, type Target } from './figures.ts'

function measured(measuredAt: string): Measured {
  return {
    title: 'A scenario',
    command: 'npm run bench -- --scenario a',
    measuredAt,
    seconds: 1,
    machine: { cores: 2, cpu: 'a', node: '20', redis: 'Redis 7', packages: '' },
    targets: [],
    tables: [],
    charts: [],
    notes: [],
  }
}

const target: Target = {
  name: 'a',
  sense: 'at least',
  limit: 90,
  unit: '%',
  measured: 90,
  digits: 0,
  note: null,
  doubt: null,
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'figures-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

test('a partial run replaces its own figures and keeps the others with their dates', () => {
  const stored = { a: measured('2026-01-01'), b: measured('2026-01-01'), gone: measured('2026-01-01') }
  const merged = mergeFigures(stored, { b: measured('2026-02-02'), c: measured('2026-02-02') }, ['c', 'b', 'a'])

  expect(Object.entries(merged).map(([name, { measuredAt }]) => [name, measuredAt])).toEqual([
    ['c', '2026-02-02'],
    ['b', '2026-02-02'],
    ['a', '2026-01-01'],
  ])
})

test('what is written is read again, and anything else is refused', async () => {
  const path = join(folder, 'figures.json')
  expect(readFigures(path)).toEqual({})

  await writeFile(path, JSON.stringify({ a: measured('2026-01-01') }))
  expect(readFigures(path)).toEqual({ a: measured('2026-01-01') })

  await writeFile(path, JSON.stringify({ a: { title: 'no figures' } }))
  expect(() => readFigures(path)).toThrow('command')
})

test('a figure that is no number comes back as a gap', () => {
  const text = JSON.stringify({
    ...measured('2026-01-01'),
    tables: [{ title: '', columns: [{ name: 'a', digits: 0 }], rows: [[Number.NaN]] }],
    charts: [
      {
        kind: 'lines',
        title: '',
        x: { label: '', log: false },
        y: { label: '', log: false },
        series: [{ name: '', points: [[1, Number.NaN]] }],
      },
    ],
  })

  const { tables, charts } = measuredSchema.parse(JSON.parse(text))
  expect(tables[0]?.rows).toEqual([[null]])
  expect(charts[0]?.series[0]).toMatchObject({ points: [[1, null]] })
})

test('a target is met at its limit, and not judged where nothing was measured', () => {
  expect(isMet(target)).toBe(true)
  expect(isMet({ ...target, measured: 89.9 })).toBe(false)
  expect(isMet({ ...target, sense: 'at most' })).toBe(true)
  expect(isMet({ ...target, sense: 'at most', measured: 90.1 })).toBe(false)
  expect(isMet({ ...target, measured: null })).toBeNull()
  expect(isMet({ ...target, doubt: 'neighbours took 34 %' })).toBeNull()
})
