import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'

/** Twenty people who think between their questions. */
export const think: Scenario = {
  name: 'think',
  title: '20 clients who think for 0.5 to 2 s',
  usual: true,
  async run({ long, sharedService }) {
    const service = await sharedService()
    const { summary } = await service.measure({
      pace: { kind: 'clients', clients: 20, thinkMs: { min: 500, max: 2000 } },
      requests: (await shapesCorpus()).requests,
      seconds: long ? 300 : 30,
    })
    const { latency, sent, errors, refused, perSecond, seconds } = summary
    return {
      targets: [
        {
          name: '20 clients with think time: errors',
          sense: 'at most',
          limit: 0,
          unit: 'errors',
          measured: errors + refused,
          digits: 0,
          note: `${sent} requests in ${seconds.toFixed(0)} s, p95 ${latency.p95.toFixed(1)} ms`,
        },
      ],
      tables: [
        table(
          'shapes-vqa on its example pictures',
          ['seconds', 'requests', ['jobs/s', 1], 'errors', ['p50 ms', 1], ['p95 ms', 1], ['p99 ms', 1], ['max ms', 1]],
          [[seconds, sent, perSecond, errors + refused, latency.p50, latency.p95, latency.p99, latency.max]],
        ),
      ],
    }
  },
}
