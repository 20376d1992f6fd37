import { z } from 'zod'

import { escapeText } from './escape-text.ts'

/** Null: there is no value. */
const valueSchema = z.number().nullable()
const axisSchema = z.object({ label: z.string(), log: z.boolean().default(false) })

/** Points joined by lines, over numbers. */
export const lineChartSchema = z.object({
  kind: z.literal('lines'),
  title: z.string(),
  x: axisSchema,
  y: axisSchema,
  series: z.array(z.object({ name: z.string(), points: z.array(z.tuple([z.number(), valueSchema])) })),
})

/** Bars over categories, those of a category beside each other or, `stacked`, on top of each other. */
export const barChartSchema = z.object({
  kind: z.literal('bars'),
  title: z.string(),
  x: z.object({ label: z.string() }),
  y: axisSchema,
  stacked: z.boolean(),
  categories: z.array(z.string()),
  series: z.array(z.object({ name: z.string(), values: z.array(valueSchema) })),
})

export const chartSchema = z.discriminatedUnion('kind', [lineChartSchema, barChartSchema])
export type Chart = z.infer<typeof chartSchema>
type LineChart = z.infer<typeof lineChartSchema>
type BarChart = z.infer<typeof barChartSchema>

const size = { width: 640, height: 300 }
const plot = { left: 62, right: 626, top: 46, bottom: 252 }
const colours = ['#2f6fdb', '#e0852b', '#2c9c69', '#c2448d', '#7a5bd0', '#8a8f98']

/**
 * A chart as one `<svg>` element: no script, so it shows in any viewer and can be diffed. Of a logarithmic
 * axis, values that are not above 0 are left out.
 */
export function renderChart(chart: Chart): string {
  const [x, y] = chart.kind === 'lines' ? [lineXAxis(chart), lineYAxis(chart)] : [barXAxis(chart), barYAxis(chart)]
  const marks = chart.kind === 'lines' ? lineMarks(chart, x, y) : barMarks(chart, x, y)
  const legend = chart.series.map(({ name }, index) => {
    const at = plot.left + (index * (plot.right - plot.left)) / Math.max(3, chart.series.length)
    return `<rect x="${at}" y="27" width="10" height="10" fill="${colour(index)}"/>${text(at + 15, 36, name, 'start')}`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escapeText(chart.title)}" font-family="system-ui, sans-serif" font-size="11" fill="currentColor">`,
    `<text x="${plot.left}" y="15" font-size="13" font-weight="600">${escapeText(chart.title)}</text>`,
    ...legend,
    ...y.ticks.map(
      ({ at, label }) =>
        `<line x1="${plot.left}" x2="${plot.right}" y1="${round(at)}" y2="${round(at)}" stroke="currentColor" stroke-opacity="0.15"/>${text(plot.left - 6, at + 4, label, 'end')}`,
    ),
    ...x.ticks.map(({ at, label }) => text(at, plot.bottom + 16, label, 'middle')),
    text((plot.left + plot.right) / 2, size.height - 12, chart.x.label, 'middle'),
    `<text transform="translate(13 ${(plot.top + plot.bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeText(chart.y.label)}</text>`,
    ...marks,
    '</svg>',
  ].join('\n')
}

interface Axis {
  /** Where a value stands, in pixels; null where it has no place. */
  place: (value: number) => number | null
  ticks: { at: number; label: string }[]
}

/** The values at which an axis from 0, or of a logarithmic one from its lowest value, is marked. */
export function ticksOf(low: number, high: number, log: boolean): number[] {
  if (log) {
    const steps: number[] = []
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      steps.push(...[1, 2, 5].map((digit) => Number(`${digit}e${power}`)))
    }
    const [from, to] = [steps.findLastIndex((step) => step <= low), steps.findIndex((step) => step >= high)]
    const shown = steps.slice(Math.max(0, from), to < 0 ? steps.length : to + 1)
    // Over many decades only the powers of ten.
    return shown.length <= 10
      ? shown
      : shown.filter(
          (step, index) => /e[+-]?\d+$|^10*$|^0\.0*1$/.test(String(step)) || index === 0 || index === shown.length - 1,
        )
  }
  const wanted = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(wanted))
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= wanted) ?? 10) * power
  const count = Math.ceil((high - low) / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => Number((low + index * step).toPrecision(12)))
}

function numberAxis(values: readonly number[], log: boolean, from: number, to: number, atZero: boolean): Axis {
  const fit = values.filter((value) => Number.isFinite(value) && (!log || value > 0))
  const high = Math.max(...fit, log ? Number.MIN_VALUE : 0)
  const low = log || !atZero ? Math.min(...fit) : Math.min(0, ...fit)
  const usable = fit.length > 0 && high > low
  const marks = usable ? ticksOf(low, high, log) : ticksOf(log ? 1 : 0, log ? 10 : Math.max(1, high), log)
  const scale = log ? Math.log10 : Number
  const [first, last] = [scale(marks[0] ?? 0), scale(marks.at(-1) ?? 1)]
  const place = (value: number): number | null => {
    if (!Number.isFinite(value) || (log && value <= 0)) return null
    return from + ((scale(value) - first) / (last - first)) * (to - from)
  }
  return { place, ticks: marks.map((value) => ({ at: place(value) ?? from, label: shortNumber(value) })) }
}

const lineXAxis = ({ series, x }: LineChart): Axis =>
  numberAxis(
    series.flatMap(({ points }) => points.map(([at]) => at)),
    x.log,
    plot.left,
    plot.right,
    true,
  )
const lineYAxis = ({ series, y }: LineChart): Axis =>
  numberAxis(
    series.flatMap(({ points }) => points.map(([, value]) => value ?? Number.NaN)),
    y.log,
    plot.bottom,
    plot.top,
    true,
  )

function barXAxis({ categories }: BarChart): Axis {
  const width = (plot.right - plot.left) / Math.max(1, categories.length)
  const every = Math.ceil(categories.length / 20)
  const place = (index: number): number => plot.left + (index + 0.5) * width
  const ticks = categories.map((label, index) => ({ at: place(index), label: index % every === 0 ? label : '' }))
  return { place, ticks }
}

function barYAxis({ series, stacked, categories, y }: BarChart): Axis {
  const heights = stacked
    ? categories.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0))
    : series.flatMap(({ values }) => values.map((value) => value ?? Number.NaN))
  return numberAxis(heights, y.log, plot.bottom, plot.top, true)
}

function lineMarks({ series }: LineChart, x: Axis, y: Axis): string[] {
  return series.flatMap(({ points }, index) => {
    const places = points.flatMap(([at, value]) => {
      const [left, top] = [x.place(at), value === null ? null : y.place(value)]
      return left === null || top === null ? [] : [[round(left), round(top)]]
    })
    const path = places.map(([left, top]) => `${left},${top}`).join(' ')
    const dots =
      places.length > 40
        ? []
        : places.map(([left, top]) => `<circle cx="${left}" cy="${top}" r="3" fill="${colour(index)}"/>`)
    return [`<polyline points="${path}" fill="none" stroke="${colour(index)}" stroke-width="2"/>`, ...dots]
  })
}

function barMarks({ series, stacked, categories }: BarChart, x: Axis, y: Axis): string[] {
  const slot = ((plot.right - plot.left) / Math.max(1, categories.length)) * 0.8
  const width = stacked ? slot : slot / Math.max(1, series.length)
  return categories.flatMap((category, index) => {
    let below = 0
    return series.map(({ name, values }, place) => {
      const value = values[index] ?? 0
      const [top, foot] = [y.place(below + value), y.place(below) ?? plot.bottom]
      if (stacked) below += value
      const left = (x.place(index) ?? 0) - slot / 2 + (stacked ? 0 : place * width)
      if (top === null) return ''
      return `<rect x="${round(left)}" y="${round(top)}" width="${round(width * 0.94)}" height="${round(Math.max(0, foot - top))}" fill="${colour(place)}"><title>${escapeText(`${category}, ${name}: ${shortNumber(value)}`)}</title></rect>`
    })
  })
}

function colour(index: number): string {
  return colours[index % colours.length] ?? 'currentColor'
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeText(content)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function shortNumber(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-GB', { maximumSignificantDigits: 3 })
}
