import { availableParallelism } from 'node:os'

import { median } from '@vision-queue/load/statistics'

import { type BareResult, type BareShape, measureBare } from '../bare.ts'
import { type Corpus, photosCorpus, shapesCorpus } from '../corpora.ts'
import type { StoredFigures } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'

const rounds = 2
const secondsPerRun = 1.2

/** How fast the models are with nothing around them, at the best of processes x threads x batch size. */
export const bare: Scenario = {
  name: 'bare',
  title: 'The limit: a bare loop',
  usual: true,
  async run(context) {
    const photos = await photosCorpus(context.folder)
    const notes = [
      `sharp decodes the next pictures while a session run of the batch before holds the JavaScript thread; no HTTP, no Redis, no messages. Every layout of processes and threads that fits the cores, with libuv’s usual number of decoding threads and with the engines’, the median of ${rounds} interleaved runs.`,
    ]
    if (photos === null) notes.push(noPhotos)
    const tables = []
    const facts: Record<string, number> = {}
    for (const [corpus, batchSizes] of [
      [await shapesCorpus(), [1, 8, 32]],
      [photos, [1]],
    ] as const) {
      if (corpus === null) continue
      const results = await measureLayouts(context, corpus, batchSizes)
      const best = results.reduce((a, b) => (b.perSecond > a.perSecond ? b : a))
      facts[`${corpus.model} processes`] = best.processes
      facts[`${corpus.model} threads`] = best.intraOpThreads
      facts[`${corpus.model} decoding threads`] = best.decodingThreads
      facts[`${corpus.model} batch`] = best.batchSize
      facts[`${corpus.model} per second`] = best.perSecond
      tables.push({
        title: corpus.about,
        columns: [
          { name: 'processes', digits: 0 },
          { name: 'threads a run', digits: 0 },
          { name: 'decoding threads', digits: 0 },
          { name: 'batch size', digits: 0 },
          { name: 'images/s', digits: 0 },
          { name: 'CPU ms/image', digits: 2 },
          { name: '', digits: 0 },
        ],
        rows: results.map((result) => [
          result.processes,
          result.intraOpThreads,
          result.decodingThreads,
          result.batchSize,
          result.perSecond,
          result.cpuMsPerImage,
          result === best ? 'best' : '',
        ]),
      })
    }
    return { tables, notes, facts }
  },
}

export const noPhotos =
  'squeezenet-imagenet and its photos are not on this machine (VISION_QUEUE_ASSETS names their folder): skipped.'

/** The bare loop's best layout for a model, as last measured; the usual winner where it never was. */
export function bestShape(figures: StoredFigures, model: string): BareShape {
  const facts = figures['bare']?.facts ?? {}
  const read = (name: string, otherwise: number): number => Number(facts[`${model} ${name}`] ?? otherwise)
  return {
    processes: read('processes', availableParallelism()),
    intraOpThreads: read('threads', 1),
    decodingThreads: read('decoding threads', 2),
    batchSize: read('batch', model === 'shapes-vqa' ? 8 : 1),
  }
}

/** How many images a run of so many seconds takes: guessed from a short one. */
export async function imagesFor(corpus: Corpus, shape: BareShape, seconds: number): Promise<number> {
  const { perSecond } = await measureBare(corpus, shape, 150 * shape.processes)
  return Math.ceil(perSecond * seconds)
}

async function measureLayouts(
  { say }: ScenarioContext,
  corpus: Corpus,
  batchSizes: readonly number[],
): Promise<BareResult[]> {
  const cores = availableParallelism()
  const middle = batchSizes[Math.floor(batchSizes.length / 2)] ?? 1
  const layouts = new Map<string, BareShape>()
  for (const processes of [1, Math.ceil(cores / 2), cores]) {
    for (const intraOpThreads of [1, Math.max(1, Math.floor(cores / processes))]) {
      // All batch sizes for the layout that wins on CPUs, one for the others: they differ by far more.
      for (const batchSize of processes === cores ? batchSizes : [middle]) {
        // libuv's own number, and the engines'.
        for (const decodingThreads of processes === cores ? [4, 2] : [4]) {
          const shape = { processes, intraOpThreads, decodingThreads, batchSize }
          layouts.set(Object.values(shape).join(' x '), shape)
        }
      }
    }
  }
  const perProcess =
    (await imagesFor(
      corpus,
      { processes: cores, intraOpThreads: 1, decodingThreads: 2, batchSize: middle },
      secondsPerRun,
    )) / cores
  const runs = new Map<string, BareResult[]>([...layouts.keys()].map((key) => [key, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [key, shape] of layouts) {
      runs.get(key)?.push(await measureBare(corpus, shape, Math.ceil(perProcess * shape.processes)))
    }
  }
  return [...layouts].map(([key, shape]) => {
    const of = runs.get(key) ?? []
    const result = {
      processes: shape.processes,
      intraOpThreads: shape.intraOpThreads,
      decodingThreads: shape.decodingThreads,
      batchSize: shape.batchSize,
      perSecond: median(of.map(({ perSecond }) => perSecond)),
      cpuMsPerImage: median(of.map(({ cpuMsPerImage }) => cpuMsPerImage)),
    }
    say(
      `${corpus.model}: ${key} (processes x threads x decoding threads x batch): ${result.perSecond.toFixed(0)} images/s`,
    )
    return result
  })
}
