import { fileURLToPath } from 'node:url'

import { median } from '@vision-queue/load/statistics'

import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { meanBatch, type Measurement, startService } from '../service.ts'
import { table } from '../tables.ts'

const rounds = 2
/** More than one consumer holds, so that both have what to take. */
const clients = 192

/** Whether a second consumer doubles the throughput where the cores aren't what limits it. */
export const scaling: Scenario = {
  name: 'scaling',
  title: 'From one consumer to two',
  usual: true,
  async run({ say }) {
    const [smallest] = (await shapesCorpus()).requests
    if (smallest === undefined) throw new Error('No examples')
    const entry = fileURLToPath(new URL('../sleeping/engine.ts', import.meta.url))
    const start = async (consumers: number): ReturnType<typeof startService> =>
      startService({ consumers, engineEntry: entry, consumerEnv: { ENGINES: '1' } })
    const [one, two] = [await start(1), await start(2)]
    const measured: { one: Measurement; two: Measurement }[] = []
    try {
      const load = { pace: { kind: 'clients', clients, thinkMs: null } as const, requests: [smallest], seconds: 3 }
      for (const service of [one, two]) await service.measure(load)
      for (let round = 0; round < rounds; round += 1) {
        measured.push({ one: await one.measure(load), two: await two.measure(load) })
      }
    } finally {
      await Promise.all([one.stop(), two.stop()])
    }
    const factors = measured.map((round) => round.two.summary.perSecond / round.one.summary.perSecond)
    say(`${factors.map((factor) => factor.toFixed(2)).join(', ')} times as many jobs/s`)
    return {
      notes: [
        `A model that sleeps for 10 + 10 n ms instead of computing and decodes nothing (tests/load/sleeping/engine.ts), one engine a consumer, ${clients} clients in a closed loop, each number of consumers with a system of its own, in turn.`,
      ],
      targets: [
        {
          name: 'Jobs/s with two consumers, of those with one',
          sense: 'at least',
          limit: 1.9,
          unit: 'x',
          measured: median(factors),
          digits: 2,
          note: null,
        },
      ],
      tables: [
        table(
          'A model that sleeps',
          ['round', 'consumers', ['jobs/s', 1], ['mean batch', 1], ['p50 ms', 1], ['p99 ms', 1], 'errors'],
          measured.flatMap((round, index) =>
            ([1, 2] as const).map((consumers) => {
              const { summary, batches } = consumers === 1 ? round.one : round.two
              const { perSecond, latency, errors } = summary
              return [index + 1, consumers, perSecond, meanBatch(batches), latency.p50, latency.p99, errors]
            }),
          ),
        ),
      ],
    }
  },
}
