import { fileURLToPath } from 'node:url'

import { startService } from '../compositions.ts'
import { rawRequests, shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import type { Service } from '../service.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { openHttpSubject } from '../subjects/http-load.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { ratePerSecond, windowsOf } from '../windows/rounds.ts'

/** More than one consumer holds, so that both have what to take. */
const clients = 192
const warmUpJobs = 400

/** Whether a second consumer doubles the throughput where the cores aren't what limits it. */
export const scaling: Scenario = {
  name: 'scaling',
  title: 'From one consumer to two',
  usual: false,
  async run({ say, plan }) {
    const [smallest] = rawRequests(await shapesCorpus())
    if (smallest === undefined) throw new Error('No examples')
    const engineEntry = fileURLToPath(new URL('../sleeping/engine.ts', import.meta.url))
    const services: Service[] = []
    const subjects: Subject[] = []
    try {
      for (const [name, consumers] of [
        ['one consumer', 1],
        ['two consumers', 2],
      ] as const) {
        services.push(
          await startService(name, { composition: 'apart', consumers, engineEntry, consumerEnv: { ENGINES: '1' } }),
        )
      }
      for (const service of services) {
        const subject = await openHttpSubject(service, { requests: [smallest], clients, holds: '"succeeded"' })
        subjects.push(subject)
        await warmUp(subject, Math.min(plan.warmUpJobs, warmUpJobs))
      }
      // A run of a full batch takes a third of a second: windows of several.
      const slow = { ...plan, windowMs: 2 * plan.windowMs }
      const judged = await measureRounds(subjects, slow, say)
      const [one = Number.NaN, two = Number.NaN] = subjects.map(({ name }) =>
        ratePerSecond(windowsOf(judged.rounds, name)),
      )
      return {
        notes: [
          `A model that sleeps for 10 + 10 n ms instead of computing and decodes nothing (tests/load/sleeping/engine.ts), one engine a consumer, ${clients} clients in a closed loop, each number of consumers with a system of its own.`,
          windowNote(judged, warmUpJobs, slow.windowMs),
        ],
        targets: [
          {
            name: 'Jobs/s with two consumers, of those with one',
            sense: 'at least',
            limit: 1.9,
            unit: 'x',
            measured: two / one,
            digits: 2,
            note: `${one.toFixed(0)} and ${two.toFixed(0)} jobs/s`,
            doubt: judged.doubt,
          },
        ],
        tables: [subjectTable('A model that sleeps', judged)],
      }
    } finally {
      await stopAll(subjects)
      await Promise.all(services.map(async ({ stop }) => stop()))
    }
  },
}
