import { measureRivals, type RivalReport } from '../rivals/measure-rivals.ts'
import { cpuSum } from '../rivals/rivals-table.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'

/** What somebody would take instead, in the same run. */
export const rivals: Scenario = {
  name: 'rivals',
  title: 'Celery and RQ behind FastAPI',
  usual: false,
  async run({ say, quick }) {
    const result = await measureRivals({
      clientCounts: quick ? [8] : [1, 8, 64],
      secondsPerRun: quick ? 1 : 4,
      rounds: quick ? 1 : 3,
      say,
    })
    switch (result.kind) {
      case 'unavailable':
        return { notes: [`Not measured: ${result.reason}`] }
      case 'measured':
        return findings(result.reports)
      default:
        return result satisfies never
    }
  },
}

function findings(reports: readonly RivalReport[]) {
  const versions = new Map(reports.flatMap((report) => Object.entries(report.versions)))
  const names = [...new Set(reports.map(({ name }) => name))]
  const clients = [...new Set(reports.map((report) => report.clients))]
  const of = (name: string, count: number): RivalReport | undefined =>
    reports.find((report) => report.name === name && report.clients === count)
  const failures = reports.flatMap(({ name, firstError }) => (firstError === null ? [] : [`${name}: ${firstError}`]))
  return {
    notes: [
      `The same Redis, cores, pictures and load, one after the other, and on all sides a model that computes nothing: HTTP, queue and process overhead are what is compared. More on it, and on servers that can't run here: docs/comparison.md. Versions: ${[...versions].map(([part, version]) => `${part} ${version}`).join(', ')}.`,
      ...failures,
    ],
    tables: [
      table(
        'A no-op model behind each',
        [
          'clients',
          'system',
          'jobs/s',
          ['p50 ms', 1],
          ['p95 ms', 1],
          ['p99 ms', 1],
          'errors',
          ['API CPU ms', 2],
          ['Redis CPU ms', 2],
          ['workers CPU ms', 2],
          ['CPU ms a job', 2],
        ],
        reports.map((report) => [
          report.clients,
          report.name,
          report.jobsPerSecond,
          report.p50,
          report.p95,
          report.p99,
          report.errors,
          report.cpuMsPerJob.api,
          report.cpuMsPerJob.redis,
          report.cpuMsPerJob.workers,
          cpuSum(report),
        ]),
      ),
    ],
    charts: (['jobs/s', 'CPU ms a job'] as const).map((label) => ({
      kind: 'bars' as const,
      title: label === 'jobs/s' ? 'Throughput of a no-op model' : 'CPU time of a no-op job',
      x: { label: 'clients' },
      y: { label, log: false },
      stacked: false,
      categories: clients.map(String),
      series: names.map((name) => ({
        name,
        values: clients.map((count) => {
          const report = of(name, count)
          if (report === undefined) return null
          return label === 'jobs/s' ? report.jobsPerSecond : cpuSum(report)
        }),
      })),
    })),
  }
}
