import { expect, test } from 'vitest'

import { renderPage } from './html-page.ts'
import { chartSchema, renderChart, ticksOf } from './svg-chart.ts'

test('axes are marked at round values that hold all that is shown', () => {
  expect(ticksOf(0, 93, false)).toEqual([0, 20, 40, 60, 80, 100])
  expect(ticksOf(0, 0.7, false).at(-1)).toBeGreaterThanOrEqual(0.7)
  expect(ticksOf(3, 80, true)).toEqual([2, 5, 10, 20, 50, 100])
  expect(ticksOf(1, 32, true)).toEqual([1, 2, 5, 10, 20, 50])
})

test('points stand where their values are, and those without a place are left out', () => {
  const svg = renderChart({
    kind: 'lines',
    title: 'Latency',
    x: { label: 's', log: false },
    y: { label: 'ms', log: true },
    series: [
      {
        name: 'p50',
        points: [
          [0, 1],
          [5, null],
          [10, 0],
          [10, 100],
        ],
      },
    ],
  })

  // The plot's corners: the least at the lower left, the most at the upper right.
  expect(svg).toContain('points="62,252 626,46"')
})

test('stacked bars stand on each other', () => {
  const svg = renderChart({
    kind: 'bars',
    title: 'CPU',
    x: { label: '' },
    y: { label: 'ms', log: false },
    stacked: true,
    categories: ['a'],
    series: [
      { name: 'user', values: [2] },
      { name: 'system', values: [2] },
      { name: 'none', values: [null] },
    ],
  })

  const bars = [...svg.matchAll(/<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/g)].map(
    ([, y, height]) => [Number(y), Number(height)],
  )
  const [first = [], second = []] = bars.slice(-3)
  expect(first[1]).toBeCloseTo(second[1] ?? 0, 0)
  expect((second[0] ?? 0) + (second[1] ?? 0)).toBeCloseTo(first[0] ?? 0, 0)
})

test('a chart of nothing is still a chart', () => {
  const empty = chartSchema.parse({ kind: 'lines', title: 'Nothing', x: { label: '' }, y: { label: '' }, series: [] })

  expect(renderChart(empty)).not.toMatch(/NaN|Infinity/)
})

test('no text of a page can be markup', () => {
  const evil = '<script>alert("1")</script>'
  const page = renderPage(evil, [
    {
      title: evil,
      paragraphs: [evil],
      tables: [{ title: evil, columns: [{ name: evil, digits: 0 }], rows: [[evil], [1.5], [null]] }],
      charts: [
        {
          kind: 'bars',
          title: evil,
          x: { label: evil },
          y: { label: evil, log: false },
          stacked: false,
          categories: [evil],
          series: [{ name: evil, values: [1] }],
        },
      ],
    },
  ])

  expect(page).not.toContain('<script')
  expect(page).not.toContain('alert("1")')
})
