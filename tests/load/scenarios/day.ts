import { bySecond } from '@vision-queue/load/summary'
import { slope } from '@vision-queue/load/statistics'

import { askRedis } from '../ask-redis.ts'
import { shapesCorpus } from '../corpora.ts'
import type { Findings, Target } from '../figures.ts'
import { startVariant } from '../compositions.ts'
import { readProcessTable, residentBytes } from '../processes.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { measureLoad, type Service } from '../service.ts'
import { table } from '../tables.ts'
import { doubtOf } from '../windows/rounds.ts'

/** 12 million jobs a day. */
const perSecond = 139
/** Results and answers are forgotten after so long, so that Redis is in its steady state for most of the run. */
const resultTtlMs = 30_000

/** The rate of 12 million jobs a day, for as long as memory takes to show whether it grows. */
export const day: Scenario = {
  name: 'day',
  title: '12 million jobs a day: ten minutes of it',
  usual: false,
  run: async (context) => measureDay(context, context.quick ? 20 : 600),
}

interface MemoryLook {
  minutes: number
  /** By part. */
  bytes: Map<string, number>
}

async function measureDay({ say, variants }: ScenarioContext, seconds: number): Promise<Partial<Findings>> {
  // What `npm start` has: the last composition of this tree.
  const variant = variants.findLast(({ revision }) => revision === null)
  if (variant === undefined) throw new Error('This tree has no composition')
  const env = { RESULT_TTL_MS: String(resultTtlMs), ANSWER_TTL_MS: String(resultTtlMs) }
  const service = await startVariant(variant, 'real', env)
  try {
    const { requests } = await shapesCorpus()
    await measureLoad(service, { pace: { kind: 'clients', clients: 64, thinkMs: null }, requests, seconds: 10 })
    const memory = watchMemory(service)
    const measurement = await measureLoad(service, {
      pace: { kind: 'rate', perSecond, arrivals: 'poisson' },
      requests,
      seconds,
    }).finally(() => memory.stop())
    const { summary, samples } = measurement
    const redisBytes = Number(/used_memory:(\d+)/.exec(await askRedis(service.system.redis.url, 'INFO memory'))?.[1])
    const seen = bySecond(samples, seconds * 1000)
    // The first fifth fills caches, pools and Redis' results.
    const steady = memory.looks.filter(({ minutes }) => minutes * 60 >= seconds / 5)
    const roles = [...(memory.looks[0]?.bytes.keys() ?? [])]
    const ofRole = roles.map((role) => {
      const points = steady.map(({ minutes, bytes }) => ({ x: minutes, y: (bytes.get(role) ?? 0) / 1e6 }))
      return { role, start: points[0]?.y ?? 0, end: points.at(-1)?.y ?? 0, perMinute: slope(points) }
    })
    const start = ofRole.reduce((sum, each) => sum + each.start, 0)
    const grown = ofRole.reduce((sum, { perMinute }) => sum + perMinute, 0) * ((seconds * 0.8) / 60)
    say(`${summary.perSecond.toFixed(0)} jobs/s, p99 ${summary.latency.p99.toFixed(0)} ms, ${summary.errors} errors`)
    const name = `139 jobs/s for ${seconds < 120 ? `${seconds} s` : `${seconds / 60} minutes`}`
    const target = { sense: 'at most' as const, digits: 0, doubt: doubtOf([measurement.othersShare]) }
    const targets: Target[] = [
      {
        ...target,
        name: `${name}: errors and refusals`,
        limit: 0,
        unit: '',
        measured: summary.errors + summary.refused,
        note: `${summary.sent} requests`,
      },
      { ...target, name: `${name}: p99`, limit: 420, unit: 'ms', measured: summary.latency.p99, note: null },
    ]
    // A minute says nothing of growth.
    if (seconds >= 600) {
      const measured = (grown / start) * 100
      const note = 'of all processes together, by the straight line through the last four fifths'
      targets.push({ ...target, name: `${name}: memory growth`, limit: 5, unit: '%', measured, digits: 1, note })
    }
    return {
      notes: [
        `The service as npm start has it (${service.name}). Open loop, Poisson arrivals, the example pictures, each unique. Results and answers are kept for ${resultTtlMs / 1000} s here (an hour by default), so that Redis is in its steady state during most of the run; it held ${(redisBytes / 1e6).toFixed(1)} MB at the end. The generator’s own lateness: p99 ${summary.lateness.p99.toFixed(1)} ms. Other processes took ${(measurement.othersShare * 100).toFixed(0)} % of the cores meanwhile.`,
      ],
      targets,
      tables: [
        table(
          'Answers',
          ['requests', ['jobs/s', 1], 'errors', 'refused', ['p50 ms', 1], ['p95 ms', 1], ['p99 ms', 1], ['max ms', 1]],
          [
            [
              summary.sent,
              summary.perSecond,
              summary.errors,
              summary.refused,
              summary.latency.p50,
              summary.latency.p95,
              summary.latency.p99,
              summary.latency.max,
            ],
          ],
        ),
        table(
          'Resident memory',
          ['', ['after a fifth, MB', 1], ['end, MB', 1], ['slope, MB a minute', 2]],
          ofRole.map(({ role, start: first, end, perMinute }) => [role, first, end, perMinute]),
        ),
      ],
      charts: [
        {
          kind: 'lines',
          title: 'Latency over time',
          x: { label: 'seconds', log: false },
          y: { label: 'ms', log: true },
          series: (['p50', 'p99'] as const).map((share) => ({
            name: share,
            points: seen.map(({ second, latency }): [number, number] => [second, latency[share]]),
          })),
        },
        {
          kind: 'lines',
          title: 'Resident memory',
          x: { label: 'minutes', log: false },
          y: { label: 'MB', log: false },
          series: roles.map((role) => ({
            name: role,
            points: memory.looks.map(({ minutes, bytes }): [number, number] => [minutes, (bytes.get(role) ?? 0) / 1e6]),
          })),
        },
      ],
    }
  } finally {
    await service.stop()
  }
}

/** Looks at the resident memory of each kind of process every two seconds. */
function watchMemory({ parts }: Service): { looks: MemoryLook[]; stop: () => void } {
  const looks: MemoryLook[] = []
  const started = performance.now()
  const timer = setInterval(() => {
    const bytes = new Map<string, number>()
    for (const { part, pid } of parts(readProcessTable())) bytes.set(part, (bytes.get(part) ?? 0) + residentBytes(pid))
    looks.push({ minutes: (performance.now() - started) / 60_000, bytes })
  }, 2000)
  return { looks, stop: () => clearInterval(timer) }
}
