import { availableParallelism } from 'node:os'

import { median } from '@vision-queue/load/statistics'

import { type BareResult, measureBare } from '../bare.ts'
import { fiftyKilobytes } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { cpuMsPerJob, meanBatch, type Measurement, othersShare, roles } from '../service.ts'
import { table } from '../tables.ts'
import { imagesFor } from './bare.ts'

const rounds = 3
const seconds = 4

/** What a job costs that is neither decoding nor inference. */
export const ownCpu: Scenario = {
  name: 'cpu',
  title: 'Our own CPU time per job',
  usual: true,
  async run({ say, folder, sharedService }) {
    const corpus = await fiftyKilobytes(folder)
    const service = await sharedService()
    const measured: { service: Measurement; bare: BareResult }[] = []
    const shape = { processes: availableParallelism(), intraOpThreads: 1, decodingThreads: 2 }
    let images = 0
    for (let round = 0; round < rounds; round += 1) {
      const pace = { kind: 'clients', clients: 64, thinkMs: null } as const
      const loaded = await service.measure({ pace, requests: corpus.requests, seconds })
      const batchSize = Math.max(1, Math.round(meanBatch(loaded.batches)))
      if (images === 0) images = await imagesFor(corpus, { ...shape, batchSize }, 2)
      measured.push({ service: loaded, bare: await measureBare(corpus, { ...shape, batchSize }, images) })
      say(`round ${round + 1}: ${loaded.summary.perSecond.toFixed(0)} jobs/s, batches of ${batchSize}`)
    }
    const middle = (of: (round: (typeof measured)[number]) => number): number => median(measured.map(of))
    const ofRole = (role: (typeof roles)[number], part: 'user' | 'system'): number =>
      middle(({ service: { cpu, summary } }) => (cpu[role][part] / summary.succeeded) * 1000)
    const decodeAndRun = middle(({ bare }) => bare.cpuMsPerImage)
    const ownOf = (loaded: Measurement, bare: BareResult): number =>
      roles.reduce((sum, role) => sum + cpuMsPerJob(loaded, role), 0) - bare.cpuMsPerImage
    const own = middle((round) => ownOf(round.service, round.bare))
    const engines = middle(({ service: loaded, bare }) => cpuMsPerJob(loaded, 'engines') - bare.cpuMsPerImage)
    return {
      notes: [
        `${corpus.about}, no two requests the same bytes, 64 clients. From the engines' time that of the bare loop is taken off: decoding and inference of the same picture at the same batch size, one process a core, as there are engines. Medians of ${rounds} interleaved rounds.`,
      ],
      targets: [
        {
          name: 'Our own CPU time per job, all processes together, 50 KB image',
          sense: 'at most',
          limit: 0.6,
          unit: 'ms',
          measured: own,
          digits: 2,
          note: `${roles
            .filter((role) => role !== 'engines')
            .map((role) => `${role} ${(ofRole(role, 'user') + ofRole(role, 'system')).toFixed(2)}`)
            .join(', ')}, engines ${engines.toFixed(2)}`,
        },
      ],
      tables: [
        table(
          'CPU milliseconds per job',
          ['', ['user', 2], ['system', 2], ['sum', 2], ['of it our own', 2]],
          [
            ...roles.map((role) => {
              const [user, system] = [ofRole(role, 'user'), ofRole(role, 'system')]
              return [role, user, system, user + system, role === 'engines' ? engines : user + system]
            }),
            ['decoding and inference, bare', null, null, decodeAndRun, null],
          ],
        ),
        table(
          'By round',
          [
            'round',
            'jobs/s',
            ['mean batch', 1],
            ['all processes, ms', 2],
            ['bare, ms', 2],
            ['our own, ms', 2],
            'others on the machine %',
          ],
          measured.map(({ service: loaded, bare }, index) => [
            index + 1,
            loaded.summary.perSecond,
            meanBatch(loaded.batches),
            ownOf(loaded, bare) + bare.cpuMsPerImage,
            bare.cpuMsPerImage,
            ownOf(loaded, bare),
            othersShare(loaded) * 100,
          ]),
        ),
      ],
      charts: [
        {
          kind: 'bars',
          title: 'CPU time of a job by process, 50 KB image',
          x: { label: '' },
          y: { label: 'CPU ms a job', log: false },
          stacked: true,
          categories: [...roles, 'bare loop'],
          series: [
            { name: 'user', values: [...roles.map((role) => ofRole(role, 'user')), decodeAndRun] },
            { name: 'system', values: [...roles.map((role) => ofRole(role, 'system')), 0] },
          ],
        },
      ],
      facts: { 'own ms': own },
    }
  },
}
