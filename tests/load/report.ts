import { type PageSection, renderPage, showCell, type Table } from '@vision-queue/load/html-page'

import { isMet, type Measured, type StoredFigures, type Target } from './figures.ts'
import { reasonsOf } from './missed-targets.ts'

/** Every target of the figures, with whether it is met. */
export function targetTable(figures: StoredFigures): Table {
  const rows = Object.entries(figures).flatMap(([scenario, { targets }]) =>
    targets.map((target) => [
      target.name,
      `${target.sense} ${target.limit} ${target.unit}`,
      target.measured === null ? null : figure(target, target.measured),
      verdict(target),
      target.note,
      scenario,
    ]),
  )
  const names = ['target', 'wanted', 'measured', '', 'beside it', 'scenario']
  return { title: 'Targets', columns: names.map((name) => ({ name, digits: 0 })), rows }
}

/** docs/benchmarks.md. */
export function renderMarkdown(figures: StoredFigures): string {
  const sections = Object.entries(figures).map(([name, measured]) =>
    [
      `## ${measured.title}`,
      `*${provenance(measured)}*`,
      ...measured.notes,
      ...measured.tables.map((table) => `**${table.title}**\n\n${markdownTable(table)}`),
      measured.charts.length === 0 ? '' : `Charts: [benchmarks.html](benchmarks.html), section ${name}.`,
    ]
      .filter((part) => part !== '')
      .join('\n\n'),
  )
  return `# Benchmarks

${introduction}

${markdownTable(targetTable(figures))}

${whyNotMet(figures)}${sections.join('\n\n')}
`
}

function whyNotMet(figures: StoredFigures): string {
  const paragraphs = reasonsOf(figures).map(({ scenarios, text }) => `**${scenarios.join(', ')}.** ${text}\n\n`)
  return paragraphs.length === 0 ? '' : `## What is not met, and why\n\n${paragraphs.join('')}`
}

/** docs/benchmarks.html: the same with charts, in one file. */
export function renderHtml(figures: StoredFigures): string {
  const sections = Object.entries(figures).map(([name, measured]): PageSection => ({
    title: `${measured.title} (${name})`,
    paragraphs: [provenance(measured), ...measured.notes],
    tables: measured.tables,
    charts: measured.charts,
  }))
  const summary: PageSection = {
    title: 'Targets',
    paragraphs: [introduction],
    tables: [targetTable(figures)],
    charts: [],
  }
  const missed: PageSection = {
    title: 'What is not met, and why',
    paragraphs: reasonsOf(figures).map(({ scenarios, text }) => `${scenarios.join(', ')}: ${withoutLinks(text)}`),
    tables: [],
    charts: [],
  }
  return renderPage('vision-queue: benchmarks', [summary, missed, ...sections])
}

function withoutLinks(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')
}

const introduction =
  'Written by `npm run bench`; `npm run bench -- --scenario NAME` measures some sections anew and leaves the others as they are, each with its own date. What a machine gives differs from one to the next and from minute to minute, so figures are multiples of what is measured beside them in the same minute: E is the CPU time of a plain node:http server that reads the same body from the same clients, B that of a bare BullMQ queue whose jobs do nothing. All of a scenario take turns in windows of about a second, each warm after a number of jobs; a figure is the lower quartile of at least eight windows. Rounds in which other processes took more than 15 % of the cores are left out; where too few are left, all are shown, marked with ~ and not judged. The load generator, Redis (without persistence) and everything else share the same cores. A dash: not measured.'

/** A figure that can't be judged is marked as about right at best. */
function figure({ digits, unit, doubt }: Target, measured: number): string {
  return `${doubt === null ? '' : '~ '}${showCell(measured, digits)} ${unit}`
}

function verdict(target: Target): string {
  if (target.measured !== null && target.doubt !== null) return `no verdict: ${target.doubt}`
  const met = isMet(target)
  return met === null ? 'not measured' : met ? 'met' : 'not met'
}

function provenance({ command, measuredAt, seconds, machine }: Measured): string {
  return `${command}, ${measuredAt.slice(0, 16).replace('T', ' ')} UTC, ${seconds.toFixed(0)} s; ${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ${machine.redis}, ${machine.packages}.`
}

function markdownTable({ columns, rows }: Table): string {
  const lines = [
    columns.map(({ name }) => name),
    columns.map(() => '---'),
    ...rows.map((row) => columns.map(({ digits }, at) => showCell(row[at], digits))),
  ]
  return lines.map((line) => `| ${line.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`).join('\n')
}
