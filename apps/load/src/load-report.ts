import type { PageSection, Table } from './html-page.ts'
import type { LoadPlan } from './load-plan.ts'
import type { LoadRun } from './run-load.ts'
import type { Sample } from './sample.ts'
import { bySecond, isSuccess, latencyMs, type LoadSummary, percentiles, summarise } from './summary.ts'

/** One line for a second of a load. */
export function progressLine(second: number, samples: readonly Sample[], underWay: number): string {
  const good = samples.filter(isSuccess)
  const latency = percentiles(good.map(latencyMs))
  const ms = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(1)} ms`)
  return `${String(second).padStart(4)} s  ${String(good.length).padStart(5)} jobs/s  p50 ${ms(latency.p50)}  p99 ${ms(latency.p99)}  ${samples.length - good.length} refused or failed  ${underWay} under way`
}

/** The end of a load in two tables. */
export function summaryTables(summary: LoadSummary): Table[] {
  const { latency, lateness, outcomes } = summary
  return [
    {
      title: 'Result',
      columns: ['', ''].map((name) => ({ name, digits: 1 })),
      rows: [
        ['jobs/s', summary.perSecond],
        ['requests', String(summary.sent)],
        ['refused (429)', String(summary.refused)],
        ['errors', String(summary.errors)],
        ['latency p50, ms', latency.p50],
        ['latency p95, ms', latency.p95],
        ['latency p99, ms', latency.p99],
        ['latency max, ms', latency.max],
        ['generator late, p99 ms', lateness.p99],
        ['generator, % of a core', (summary.cpuSeconds / summary.seconds) * 100],
      ],
    },
    {
      title: 'Outcomes',
      columns: ['outcome', 'requests', '%'].map((name, index) => ({ name, digits: index === 2 ? 2 : 0 })),
      rows: Object.entries(outcomes)
        .toSorted(([, a], [, b]) => b - a)
        .map(([outcome, count]) => [outcome, count, (count / summary.sent) * 100]),
    },
  ]
}

/** What the HTML report holds. The API key is not in it. */
export function reportSections(plan: LoadPlan, run: LoadRun): PageSection[] {
  const seconds = bySecond(run.samples, run.durationMs)
  const good = run.samples.filter((sample) => isSuccess(sample) && sample.scheduledMs >= 0)
  const counts = latencyCounts(good.map(latencyMs))
  const overTime = (of: (second: (typeof seconds)[number]) => number): [number, number][] =>
    seconds.map((second) => [second.second, of(second)])
  return [
    {
      title: 'Load',
      paragraphs: [describePlan(plan), `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`],
      tables: summaryTables(summarise(run)),
      charts: [
        {
          kind: 'lines',
          title: 'Answers over time',
          x: { label: 'seconds', log: false },
          y: { label: 'a second', log: false },
          series: [
            { name: 'succeeded', points: overTime(({ succeeded }) => succeeded) },
            { name: 'refused or failed', points: overTime(({ others }) => others) },
          ],
        },
        {
          kind: 'lines',
          title: 'Latency over time',
          x: { label: 'seconds', log: false },
          y: { label: 'ms', log: true },
          series: (['p50', 'p95', 'p99'] as const).map((share) => ({
            name: share,
            points: overTime(({ latency }) => latency[share]),
          })),
        },
        {
          kind: 'bars',
          title: 'Latency of all jobs',
          x: { label: 'ms, up to' },
          y: { label: 'jobs', log: false },
          stacked: false,
          categories: counts.map(({ upToMs }) => String(Number(upToMs.toPrecision(2)))),
          series: [{ name: 'jobs', values: counts.map(({ count }) => count) }],
        },
      ],
    },
  ]
}

/** In words: what was asked of which API. */
export function describePlan({ url, pace, durationMs, requests }: LoadPlan): string {
  const model = requests[0]?.query['model'] ?? 'the default model'
  const files = new Set(requests.map(({ file }) => file)).size
  const how =
    pace.kind === 'rate'
      ? `${pace.perSecond} requests/s, ${pace.arrivals} arrivals (open loop)`
      : `${pace.clients} clients${pace.thinkMs === null ? '' : ` who think for ${pace.thinkMs.min / 1000} to ${pace.thinkMs.max / 1000} s`} (closed loop)`
  return `${how}, ${durationMs / 1000} s, ${files} pictures, ${model}, ${url}`
}

/** Counts by latency, in steps that grow by a quarter each. */
function latencyCounts(latencies: readonly number[]): { upToMs: number; count: number }[] {
  const step = (latency: number): number => Math.ceil(Math.log(Math.max(latency, 0.1)) / Math.log(1.25))
  const counts = new Map<number, number>()
  for (const latency of latencies) counts.set(step(latency), (counts.get(step(latency)) ?? 0) + 1)
  const steps = [...counts.keys()]
  if (steps.length === 0) return []
  const low = steps.reduce((a, b) => Math.min(a, b))
  const high = steps.reduce((a, b) => Math.max(a, b))
  return Array.from({ length: high - low + 1 }, (_, index) => ({
    upToMs: 1.25 ** (low + index),
    count: counts.get(low + index) ?? 0,
  }))
}
