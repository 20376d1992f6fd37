import { availableParallelism } from 'node:os'

import { median } from '@vision-queue/load/statistics'

import { type BareResult, measureBare } from '../bare.ts'
import { type Corpus, photosCorpus, shapesCorpus } from '../corpora.ts'
import type { Findings } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { cpuMsPerJob, meanBatch, type Measurement, othersShare, roles, startService, warmUp } from '../service.ts'
import { bestShape, imagesFor, noPhotos } from './bare.ts'

const rounds = 3
const clients = 64
const seconds = 3

interface Round {
  bare: BareResult
  service: Measurement
}

/** What is left of the bare loop's speed with HTTP, Redis and processes around it. */
export const endToEnd: Scenario = {
  name: 'end-to-end',
  title: 'End to end against the bare loop',
  usual: true,
  async run(context) {
    const findings = {
      tables: [] as Findings['tables'],
      charts: [] as Findings['charts'],
      targets: [] as Findings['targets'],
      notes: [
        `${clients} clients in a closed loop, pictures as raw bodies, no two of them the same, Prefer: wait. ${rounds} rounds, in each the bare loop in its best layout and the service, one after the other on the same ${availableParallelism()} cores; medians of the rounds' ratios.`,
        'Raw share: jobs/s over images/s. Share per CPU-second left over: (jobs / (cores x seconds - CPU seconds of the load generator)) / (images / (cores x seconds)), since clients don’t run on the service’s cores. CPU share: CPU time of an image in the bare loop over CPU time of a job in all processes of the service; it hardly depends on what else the machine does.',
      ],
    }
    const photos = await photosCorpus(context.folder)
    if (photos === null) findings.notes.push(noPhotos)
    for (const [corpus, limit] of [
      [photos, 90],
      [await shapesCorpus(), 75],
    ] as const) {
      if (corpus === null) continue
      const measured = await measureRounds(context, corpus)
      const shares = measured.map(sharesOf)
      findings.targets.push({
        name: `End to end, ${corpus.model}: of the bare loop, per CPU-second that the load generator left over`,
        sense: 'at least',
        limit,
        unit: '%',
        measured: median(shares.map(({ leftOver }) => leftOver)) * 100,
        digits: 0,
        note: `raw ${(median(shares.map(({ raw }) => raw)) * 100).toFixed(0)} %, CPU share ${(median(shares.map(({ cpu }) => cpu)) * 100).toFixed(0)} %`,
      })
      findings.tables.push(roundTable(corpus, measured))
      findings.charts.push({
        kind: 'bars',
        title: `CPU time of a job by process, ${corpus.model}`,
        x: { label: 'bare loop and service, by round' },
        y: { label: 'CPU ms a job', log: false },
        stacked: true,
        categories: measured.flatMap((_, index) => [`bare ${index + 1}`, `service ${index + 1}`]),
        series: [
          { name: 'bare loop', values: measured.flatMap(({ bare }) => [bare.cpuMsPerImage, 0]) },
          ...roles.map((role) => ({
            name: role,
            values: measured.flatMap(({ service }) => [0, cpuMsPerJob(service, role)]),
          })),
        ],
      })
    }
    return findings
  },
}

async function measureRounds({ say, figures, sharedService }: ScenarioContext, corpus: Corpus): Promise<Round[]> {
  const shape = bestShape(figures(), corpus.model)
  const images = await imagesFor(corpus, shape, seconds)
  const own = corpus.model !== 'shapes-vqa'
  const service = own
    ? await startService({ consumerEnv: { MODEL_REPOSITORY: corpus.repository, MODELS: corpus.model } })
    : await sharedService()
  if (own) await warmUp(service.measure, corpus.requests)
  const measured: Round[] = []
  try {
    for (let round = 0; round < rounds; round += 1) {
      const bare = await measureBare(corpus, shape, images)
      const load = { pace: { kind: 'clients', clients, thinkMs: null } as const, requests: corpus.requests, seconds }
      measured.push({ bare, service: await service.measure(load) })
      const last = measured.at(-1)
      if (last === undefined) continue
      const { raw, leftOver } = sharesOf(last)
      say(
        `${corpus.model}: bare ${bare.perSecond.toFixed(0)}/s, service ${last.service.summary.perSecond.toFixed(0)}/s, raw ${(raw * 100).toFixed(0)} %, left over ${(leftOver * 100).toFixed(0)} %`,
      )
    }
  } finally {
    if (own) await service.stop()
  }
  return measured
}

function sharesOf({ bare, service }: Round): { raw: number; leftOver: number; cpu: number } {
  const { perSecond, seconds: length, cpuSeconds } = service.summary
  const available = availableParallelism() * length
  const ours = roles.reduce((sum, role) => sum + cpuMsPerJob(service, role), 0)
  return {
    raw: perSecond / bare.perSecond,
    leftOver: (perSecond * available) / (available - cpuSeconds) / bare.perSecond,
    cpu: bare.cpuMsPerImage / ours,
  }
}

function roundTable(corpus: Corpus, measured: Round[]): Findings['tables'][number] {
  return {
    title: corpus.about,
    columns: [
      { name: 'round', digits: 0 },
      { name: 'bare images/s', digits: 0 },
      { name: 'jobs/s', digits: 0 },
      { name: 'raw share %', digits: 0 },
      { name: 'share of what was left over %', digits: 0 },
      { name: 'CPU share %', digits: 0 },
      { name: 'p50 ms', digits: 0 },
      { name: 'p99 ms', digits: 0 },
      { name: 'errors', digits: 0 },
      { name: 'mean batch', digits: 1 },
      { name: 'bare CPU ms', digits: 2 },
      ...roles.map((role) => ({ name: `${role} CPU ms`, digits: 2 })),
      { name: 'generator CPU ms', digits: 2 },
      { name: 'others on the machine %', digits: 0 },
    ],
    rows: measured.map((round, index) => {
      const { bare, service } = round
      const { summary } = service
      const { raw, leftOver, cpu } = sharesOf(round)
      return [
        index + 1,
        bare.perSecond,
        summary.perSecond,
        raw * 100,
        leftOver * 100,
        cpu * 100,
        summary.latency.p50,
        summary.latency.p99,
        summary.errors,
        meanBatch(service.batches),
        bare.cpuMsPerImage,
        ...roles.map((role) => cpuMsPerJob(service, role)),
        (summary.cpuSeconds / summary.succeeded) * 1000,
        othersShare(service) * 100,
      ]
    }),
  }
}
