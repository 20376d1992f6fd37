import { z } from 'zod'

import { escapeText } from './escape-text.ts'
import { type Chart, renderChart } from './svg-chart.ts'

/** A number is shown with its column's digits; null as a dash. */
export const cellSchema = z.union([z.number(), z.string(), z.null()])
export type Cell = z.infer<typeof cellSchema>

export const tableSchema = z.object({
  title: z.string(),
  columns: z.array(z.object({ name: z.string(), digits: z.int().min(0).max(6).default(0) })),
  rows: z.array(z.array(cellSchema)),
})
export type Table = z.infer<typeof tableSchema>

export interface PageSection {
  title: string
  /** Plain text, each a paragraph. */
  paragraphs: readonly string[]
  tables: readonly Table[]
  charts: readonly Chart[]
}

/** A whole page with everything in it: no script, nothing fetched. All text is escaped. */
export function renderPage(title: string, sections: readonly PageSection[]): string {
  const body = sections.map(
    (section) =>
      `<section>\n<h2>${escapeText(section.title)}</h2>\n${[
        ...section.paragraphs.map((paragraph) => `<p>${withCode(escapeText(paragraph))}</p>`),
        ...section.tables.map(htmlTable),
        section.charts.length === 0
          ? ''
          : `<div class="charts">\n${section.charts.map(renderChart).join('\n')}\n</div>`,
      ].join('\n')}\n</section>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1340px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p { max-width: 80ch; margin: .4rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); text-align: left; }
td.number { text-align: right; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1.5rem; }
svg { width: 100%; height: auto; }
</style>
<h1>${escapeText(title)}</h1>
${body.join('\n')}
</html>
`
}

/** A cell as text, by its column. */
export function showCell(cell: Cell | undefined, digits: number): string {
  if (cell === null || cell === undefined) return '–'
  if (typeof cell === 'string') return cell
  return Number.isFinite(cell) ? cell.toFixed(digits) : '–'
}

/** For a terminal: columns of equal width. */
export function plainTable({ columns, rows }: Table): string {
  const lines = [
    columns.map(({ name }) => name),
    ...rows.map((row) => columns.map(({ digits }, at) => showCell(row[at], digits))),
  ]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? '').length)))
  const shown = lines.map((line) => line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '))
  return shown.map((line) => line.trimEnd()).join('\n')
}

function htmlTable({ title, columns, rows }: Table): string {
  const head = columns.map(({ name }) => `<th>${escapeText(name)}</th>`).join('')
  const lines = rows.map((row) => {
    const cells = columns.map(({ digits }, index) => {
      const cell = row[index]
      return `<td${typeof cell === 'number' ? ' class="number"' : ''}>${escapeText(showCell(cell, digits))}</td>`
    })
    return `<tr>${cells.join('')}</tr>`
  })
  return `<div class="scroll"><table><caption>${escapeText(title)}</caption><thead><tr>${head}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`
}

/** What stands between backticks, as in Markdown. */
function withCode(escaped: string): string {
  return escaped.replaceAll(/`([^`]*)`/g, '<code>$1</code>')
}
