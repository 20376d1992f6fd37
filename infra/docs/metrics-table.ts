import { allMetrics } from '@vision-queue/api/metrics'
import { createConsumerMetrics } from '@vision-queue/consumer/metrics'
import { z } from 'zod'

/** What prom-client's registries know of a metric; its types name the half of it. */
const metricSchema = z.object({
  name: z.string(),
  help: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram', 'summary']),
  labelNames: z.array(z.string()),
})
export interface DocumentedMetric extends z.infer<typeof metricSchema> {
  /** Who tells it: each API process, one of them for all, or each consumer on its own port. */
  from: 'api' | 'shared' | 'consumer'
}

/** Every metric of our own; those of the process and of Node are prom-client's, the same in every project that uses it. */
export function documentedMetrics(): DocumentedMetric[] {
  const { own, shared } = allMetrics()
  const isShared = new Set(shared)
  const view = { announcedAt: null, models: [], closing: false }
  return [
    ...read(own.getMetricsAsArray(), (name) => (isShared.has(name) ? 'shared' : 'api')),
    ...read(createConsumerMetrics(() => view).getMetricsAsArray(), () => 'consumer'),
  ]
}

function read(metrics: readonly unknown[], from: (name: string) => DocumentedMetric['from']): DocumentedMetric[] {
  return metrics.flatMap((metric) => {
    const { name, help, type, labelNames } = metricSchema.parse(metric)
    return name.startsWith('vision_queue_') ? [{ name, help, type, labelNames, from: from(name) }] : []
  })
}

const titles = {
  shared: 'metrics:shared',
  api: 'metrics:api',
  consumer: 'metrics:consumer',
} as const

/** docs/metrics.md with its tables as the code has them now. Throws where the markers of a table are missing. */
export function withMetricsTables(page: string): string {
  let text = page
  const metrics = documentedMetrics()
  for (const from of ['shared', 'api', 'consumer'] as const) {
    const [open, close] = [`<!-- ${titles[from]} -->`, `<!-- /${titles[from]} -->`]
    const [start, end] = [text.indexOf(open), text.indexOf(close)]
    if (start < 0 || end < start) throw new Error(`docs/metrics.md has no ${open} before a ${close}.`)
    const rows = metrics.filter((metric) => metric.from === from).map(row)
    const table = ['| metric | kind | labels | meaning |', '|---|---|---|---|', ...rows].join('\n')
    text = `${text.slice(0, start)}${open}\n${table}\n${text.slice(end)}`
  }
  return text
}

function row({ name, type, labelNames, help }: DocumentedMetric): string {
  const labels = labelNames.map((label) => `\`${label}\``).join(', ')
  return `| \`${name}\` | ${type} | ${labels} | ${help.replaceAll('|', String.raw`\|`)} |`
}
