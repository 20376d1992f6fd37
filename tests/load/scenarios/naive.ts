import { shapesCorpus } from '../corpora.ts'
import { startNaiveServer } from '../naive.ts'
import type { Scenario } from '../scenario.ts'
import { meanBatch, type Measurement } from '../service.ts'
import { table } from '../tables.ts'

const clientCounts = [1, 8, 20, 64]
const seconds = 2

/** One request, one run, in the server's process, against the service. */
export const naive: Scenario = {
  name: 'naive',
  title: 'Before and after: one request, one run',
  usual: true,
  async run({ say, long, sharedService }) {
    const corpus = await shapesCorpus()
    const service = await sharedService()
    const before = await startNaiveServer(corpus.repository)
    const measured: { clients: number; before: Measurement; after: Measurement }[] = []
    try {
      for (const clients of clientCounts) {
        const pace = { kind: 'clients', clients, thinkMs: null } as const
        const load = { pace, requests: corpus.requests, seconds: long ? 20 : seconds }
        const row = { clients, before: await before.measure(load), after: await service.measure(load) }
        measured.push(row)
        const [naively, queued] = [row.before.summary, row.after.summary]
        say(`${clients} clients: naive ${naively.perSecond.toFixed(0)}/s, service ${queued.perSecond.toFixed(0)}/s`)
      }
    } finally {
      await before.stop()
    }
    const categories = measured.map(({ clients }) => String(clients))
    const bars = (title: string, label: string, of: (measurement: Measurement) => number) => ({
      kind: 'bars' as const,
      title,
      x: { label: 'clients' },
      y: { label, log: false },
      stacked: false,
      categories,
      series: [
        { name: 'naive server', values: measured.map((row) => of(row.before)) },
        { name: 'service', values: measured.map((row) => of(row.after)) },
      ],
    })
    return {
      notes: [
        `The naive server decodes and runs each request at once and alone, in its own process, with the service’s own decoder, graph and libraries (tests/load/naive-server.ts). Both answer the same pictures to the same clients in a closed loop, in turn, ${long ? 20 : seconds} s each. shapes-vqa is nearly free to run, so a naive server, which spares itself queue and processes, does well on it; it has no queue bound, loses what it holds when it dies, and uses one core for inference.`,
      ],
      tables: [
        table(
          corpus.about,
          [
            'clients',
            'naive jobs/s',
            'service jobs/s',
            ['naive p50 ms', 1],
            ['service p50 ms', 1],
            ['naive p99 ms', 1],
            ['service p99 ms', 1],
            'naive errors',
            'service errors',
            ['mean batch', 1],
          ],
          measured.map(({ clients, before: { summary }, after }) => [
            clients,
            summary.perSecond,
            after.summary.perSecond,
            summary.latency.p50,
            after.summary.latency.p50,
            summary.latency.p99,
            after.summary.latency.p99,
            summary.errors,
            after.summary.errors,
            meanBatch(after.batches),
          ]),
        ),
      ],
      charts: [
        bars('Throughput, before and after', 'jobs/s', ({ summary }) => summary.perSecond),
        bars('Latency p99, before and after', 'ms', ({ summary }) => summary.latency.p99),
      ],
    }
  },
}
