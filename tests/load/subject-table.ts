import type { Cell, Table } from '@vision-queue/load/html-page'
import { median } from '@vision-queue/load/statistics'

import { bareQueueName } from './subjects/bare-queue.ts'
import { echoName } from './subjects/echo.ts'
import { table } from './tables.ts'
import { costOf, type Judged, lowerQuartile, ratePerSecond, timeOf, windowsOf } from './windows/rounds.ts'
import { clientsPart } from './windows/window.ts'

/** What every subject of a scenario cost, beside each other: in multiples of E and B, and by part. */
export function subjectTable(title: string, { rounds }: Judged): Table {
  const names = [...new Set(rounds.flatMap((round) => [...round.keys()]))]
  const measured = names.map((name) => ({ name, windows: windowsOf(rounds, name) }))
  const costs = new Map(measured.map(({ name, windows }) => [name, costOf(windows)]))
  const parts = [...new Set([...costs.values()].flatMap((cost) => Object.keys(cost.parts)))]
  const shown = parts.filter((part) => part !== clientsPart)
  const multiple = (name: string, unit: string): number | null => {
    const [cost, one] = [costs.get(name)?.us, costs.get(unit)?.us]
    return cost === undefined || one === undefined ? null : cost / one
  }
  return table(
    title,
    [
      '',
      ['CPU a job, E', 1],
      ['B', 2],
      'us',
      ...shown.map((part) => `${part} us`),
      'jobs/s',
      ['p50 ms', 2],
      ['p99 ms', 2],
      'clients us',
      ['clients, % of a core', 0],
      'failures',
      'others %',
    ],
    measured.map(({ name, windows }): Cell[] => {
      const clients = windows.map(({ cpuUs }) => cpuUs[clientsPart] ?? Number.NaN)
      const rate = ratePerSecond(windows)
      const split = shown.map((part) => costs.get(name)?.parts[part] ?? null)
      const head = [name, multiple(name, echoName), multiple(name, bareQueueName), costs.get(name)?.us ?? null]
      return head.concat(split, [
        rate,
        timeOf(windows, 'p50Ms'),
        timeOf(windows, 'p99Ms'),
        lowerQuartile(clients),
        (lowerQuartile(clients) * rate) / 1e4,
        windows.reduce((sum, { failures }) => sum + failures, 0),
        median(windows.map(({ othersShare }) => othersShare)) * 100,
      ])
    }),
  )
}

/** How the windows of a scenario were cut, for its notes. */
export function windowNote({ rounds }: Judged, warmUpJobs: number, windowMs: number): string {
  return `${rounds.length} rounds of windows of ${(windowMs / 1000).toFixed(1)} s, half of it for E and B, in turn after ${warmUpJobs} jobs of each; lower quartiles.`
}
