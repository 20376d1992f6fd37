import { median } from '@vision-queue/load/statistics'

import { measureBare } from '../bare.ts'
import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { meanBatch } from '../service.ts'
import { measureSession } from '../session.ts'
import { table } from '../tables.ts'
import { imagesFor } from './bare.ts'

const batchSizes = [1, 2, 4, 8, 16, 32]
const clientCounts = [1, 8, 64]

/** What a larger batch gives, and how large batches get. */
export const batching: Scenario = {
  name: 'batching',
  title: 'Batches',
  usual: true,
  async run({ say, sharedService }) {
    const corpus = await shapesCorpus()
    const service = await sharedService()
    const sessions = await measureSession(corpus, batchSizes, 6)
    const shape = { processes: 1, intraOpThreads: 1, decodingThreads: 4 }
    const images = await imagesFor(corpus, { ...shape, batchSize: 8 }, 1.2)
    const rows = []
    for (const { size, runsMs } of sessions) {
      const whole = await measureBare(corpus, { ...shape, batchSize: size }, images)
      rows.push({ size, runMs: median(runsMs), runs: runsMs.length, whole })
      say(
        `batches of ${size}: ${((1000 * size) / median(runsMs)).toFixed(0)}/s, ${whole.perSecond.toFixed(0)}/s with decoding`,
      )
    }
    const histograms = []
    for (const clients of clientCounts) {
      const pace = { kind: 'clients', clients, thinkMs: null } as const
      const { batches, summary } = await service.measure({ pace, requests: corpus.requests, seconds: 3 })
      histograms.push({ clients, batches, summary })
      say(`${clients} clients: mean batch ${meanBatch(batches).toFixed(1)}`)
    }
    const sizes = [...new Set(histograms.flatMap(({ batches }) => [...batches.keys()]))].toSorted((a, b) => a - b)
    const shares = histograms.map(({ batches }) => {
      const runs = [...batches.values()].reduce((total, count) => total + count, 0)
      return sizes.map((size) => ((batches.get(size) ?? 0) / runs) * 100)
    })
    return {
      notes: [
        'Session runs alone: pictures that are decoded already, one thread, all sizes in turn, medians. With decoding: the bare loop in one process of one thread. The histogram: all runs of the service while so many clients ask in a closed loop, by the batch sizes that the jobs tell.',
      ],
      tables: [
        table(
          corpus.about,
          [
            'batch size',
            ['run ms', 2],
            'images/s, run alone',
            'images/s with decoding',
            ['CPU ms/image with decoding', 2],
            'runs',
          ],
          rows.map(({ size, runMs, whole, runs }) => [
            size,
            runMs,
            (1000 * size) / runMs,
            whole.perSecond,
            whole.cpuMsPerImage,
            runs,
          ]),
        ),
        table(
          'Runs of the service by batch size, %',
          ['batch size', ...clientCounts.map((clients) => [`${clients} clients`, 1] as const)],
          sizes.map((size, index) => [size, ...shares.map((share) => share[index] ?? 0)]),
        ),
        table(
          'The service',
          ['clients', 'jobs/s', ['mean batch', 1], ['p50 ms', 1], ['p99 ms', 1]],
          histograms.map(({ clients, batches, summary }) => [
            clients,
            summary.perSecond,
            meanBatch(batches),
            summary.latency.p50,
            summary.latency.p99,
          ]),
        ),
      ],
      charts: [
        {
          kind: 'lines',
          title: 'Throughput against batch size',
          x: { label: 'batch size', log: true },
          y: { label: 'images/s', log: false },
          series: [
            {
              name: 'session run alone',
              points: rows.map(({ size, runMs }): [number, number] => [size, (1000 * size) / runMs]),
            },
            { name: 'with decoding', points: rows.map(({ size, whole }): [number, number] => [size, whole.perSecond]) },
          ],
        },
        {
          kind: 'bars',
          title: 'Batch sizes of the service',
          x: { label: 'batch size' },
          y: { label: '% of runs', log: false },
          stacked: false,
          categories: sizes.map(String),
          series: histograms.map(({ clients }, index) => ({ name: `${clients} clients`, values: shares[index] ?? [] })),
        },
      ],
    }
  },
}
