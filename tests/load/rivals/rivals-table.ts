import type { RivalReport } from './measure-rivals.ts'

/** The reports as two Markdown tables and a line of versions. */
export function rivalsTable(reports: readonly RivalReport[]): string {
  const speed = reports.map((report) => [
    report.clients,
    report.name,
    report.jobsPerSecond.toFixed(0),
    ratio(report.jobsPerSecond, oursFor(report, reports)?.jobsPerSecond),
    report.p50.toFixed(1),
    report.p95.toFixed(1),
    report.p99.toFixed(1),
    report.errors,
  ])
  const cpu = reports.map((report) => [
    report.clients,
    report.name,
    ...[report.cpuMsPerJob.api, report.cpuMsPerJob.redis, report.cpuMsPerJob.workers].map((ms) => ms.toFixed(2)),
    cpuSum(report).toFixed(2),
    ratio(cpuSum(report), cpuSumOf(oursFor(report, reports))),
    report.cpuMsPerJob.clients.toFixed(2),
  ])
  const versions = new Map(reports.flatMap((report) => Object.entries(report.versions)))
  return [
    markdown(['clients', 'system', 'jobs/s', 'of ours', 'p50 ms', 'p95 ms', 'p99 ms', 'errors'], speed),
    'CPU milliseconds per job:',
    markdown(['clients', 'system', 'API', 'Redis', 'workers', 'sum', 'of ours', 'load generator'], cpu),
    `Versions: ${[...versions].map(([part, version]) => `${part} ${version}`).join(', ')}.`,
  ].join('\n\n')
}

/** API, Redis and workers together, in CPU milliseconds per job; the load generator apart. */
export function cpuSum({ cpuMsPerJob: { api, redis, workers } }: RivalReport): number {
  return api + redis + workers
}

function cpuSumOf(report: RivalReport | undefined): number | undefined {
  return report === undefined ? undefined : cpuSum(report)
}

function oursFor({ clients }: RivalReport, reports: readonly RivalReport[]): RivalReport | undefined {
  return reports.find((report) => report.name === 'vision-queue' && report.clients === clients)
}

function ratio(value: number, ours: number | undefined): string {
  return ours === undefined ? '' : `${(value / ours).toFixed(2)}x`
}

function markdown(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}
