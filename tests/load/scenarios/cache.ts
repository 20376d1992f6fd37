import { readMetrics } from '../read-metrics.ts'
import { isSuccess, latencyMs, percentiles } from '@vision-queue/load/summary'

import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'

/** How fast a question is answered that was answered before. */
export const cache: Scenario = {
  name: 'cache',
  title: 'Answers from the cache',
  usual: true,
  async run({ sharedService }) {
    const service = await sharedService()
    const { requests } = await shapesCorpus()
    const before = await readMetrics(service.system.url, /cache/)
    const measured = await service.measure({
      pace: { kind: 'clients', clients: 4, thinkMs: null },
      requests,
      seconds: 4,
      repeatPictures: true,
    })
    const after = await readMetrics(service.system.url, /cache/)
    const good = measured.samples.filter((sample) => isSuccess(sample) && sample.scheduledMs >= 0)
    const cached = good.filter((sample) => sample.cached)
    const told = cached.flatMap(({ serverMs }) => (serverMs === null ? [] : [serverMs]))
    const [inside, outside, missed] = [
      percentiles(told),
      percentiles(cached.map(latencyMs)),
      percentiles(good.filter((sample) => !sample.cached).map(latencyMs)),
    ]
    const serverTold = told.length > 0
    return {
      notes: [
        `${requests.length} pictures and questions again and again, 4 clients.`,
        ...(cached.length === 0
          ? ['Not available: no answer came from a cache.']
          : [
              `${((cached.length / good.length) * 100).toFixed(1)} % of ${good.length} answers came from the cache. Server time is ${serverTold ? 'what Server-Timing says' : 'not told by the service: the whole time from request to answer stands for it'}.`,
            ]),
      ],
      targets: [
        {
          name: 'A repeated image and question: server time, p50',
          sense: 'at most',
          limit: 3,
          unit: 'ms',
          measured: cached.length === 0 ? null : (serverTold ? inside : outside).p50,
          digits: 2,
          note: cached.length === 0 ? 'not available: no answer came from a cache' : null,
        },
      ],
      tables: [
        table(
          'Milliseconds',
          ['', 'answers', ['p50', 2], ['p95', 2], ['p99', 2]],
          (
            [
              ['from the cache, server time', inside],
              ['from the cache, request to answer', outside],
              ['computed, request to answer', missed],
            ] as const
          ).map(([name, { count, p50, p95, p99 }]) => [name, count, p50, p95, p99]),
        ),
        table(
          'What the metrics say of it',
          ['metric', 'before', 'after'],
          [...after].map(([name, value]) => [name, before.get(name) ?? 0, value]),
        ),
      ].filter(({ rows }) => rows.length > 0),
    }
  },
}
