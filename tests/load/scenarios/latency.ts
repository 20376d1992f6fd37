import { rawRequests, shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { echoName, openEcho } from '../subjects/echo.ts'
import type { Subject } from '../subjects/subject.ts'
import { table } from '../tables.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { costOf, timeOf, windowsOf } from '../windows/rounds.ts'

const perSecond = 20
const clients = 8
/** In echo round trips, by composition. */
const limits: Readonly<Record<string, number>> = { apart: 7, 'one process': 4 }

/** How long an answer takes when little else is asked, beyond what decoding and inference take. */
export const latency: Scenario = {
  name: 'latency',
  title: 'Latency at 20 requests a second',
  usual: true,
  async run({ say, plan, services }) {
    const requests = rawRequests(await shapesCorpus())
    const pace = { requests, clients, thinkMs: (clients * 1000) / perSecond }
    const load = { ...pace, holds: '"succeeded"', readTimes: true }
    const subjects: Subject[] = []
    try {
      subjects.push(...(await services.subjects({ engine: 'real' }, load, Math.min(plan.warmUpJobs, 1500))))
      // A window has some forty requests, so that its median means something.
      const windowMs = plan.windowMs * 2.2
      const echo = await openEcho(pace)
      subjects.push(echo)
      await warmUp(echo, 4 * clients)
      const judged = await measureRounds(subjects, { ...plan, windowMs }, say)
      const trip = timeOf(windowsOf(judged.rounds, echoName), 'p50Ms')
      const measured = subjects.map(({ name }) => {
        const windows = windowsOf(judged.rounds, name)
        const beyond = timeOf(windows, 'beyondP50Ms')
        const trips = beyond === null || trip === null ? null : beyond / trip
        return {
          name,
          p50: timeOf(windows, 'p50Ms'),
          p99: timeOf(windows, 'p99Ms'),
          beyond,
          trips,
          cost: costOf(windows),
        }
      })
      return {
        notes: [
          `${clients} clients, each of which thinks between an answer and its next request, together about ${perSecond} requests a second; shapes-vqa on its example pictures. A job tells what decoding and inference took; that is taken off. An echo round trip is what the same clients see of the echo at the same rate. Lower quartiles of ${judged.rounds.length} windows' medians, ${(windowMs / 1000).toFixed(1)} s each.`,
        ],
        targets: measured.flatMap(({ name, trips, beyond }) => {
          const limit = limits[name]
          if (limit === undefined) return []
          return {
            name: `Idle latency beyond decoding and inference, p50, ${name}`,
            sense: 'at most' as const,
            limit,
            unit: 'echo round trips',
            measured: trips,
            digits: 1,
            note: `${beyond?.toFixed(1) ?? '–'} ms, an echo ${trip?.toFixed(2) ?? '–'} ms`,
            doubt: judged.doubt,
          }
        }),
        tables: [
          table(
            'At 20 requests a second',
            [
              '',
              ['p50 ms', 2],
              ['p99 ms', 1],
              ['beyond the model, p50 ms', 2],
              ['echo round trips', 1],
              'CPU us a job',
            ],
            measured.map(({ name, p50, p99, beyond, trips, cost }) => [name, p50, p99, beyond, trips, cost.us]),
          ),
        ],
      }
    } finally {
      await stopAll(subjects)
    }
  },
}
