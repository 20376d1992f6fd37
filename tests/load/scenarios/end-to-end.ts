import { type Corpus, photosCorpus, rawRequests, shapesCorpus } from '../corpora.ts'
import type { Findings } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { bareModelName, openBareModel } from '../subjects/bare-model.ts'
import { openScale } from '../subjects/scale.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { costOf, ratePerSecond, windowsOf } from '../windows/rounds.ts'

interface EndToEnd {
  corpus: Corpus
  /** Of the bare loop. */
  batchSize: number
  env?: Record<string, string>
  warmUpJobs: number
  /** In percent, by composition. */
  limits: Readonly<Record<string, number>>
}

/** What share of all the CPU time that a job takes is decoding and inference. */
export const endToEndShapes: Scenario = {
  name: 'end-to-end',
  title: 'End to end against the bare loop, shapes-vqa',
  usual: true,
  async run(context) {
    const limits = { apart: 82, 'one process': 88 }
    return measureShare(context, { corpus: await shapesCorpus(), batchSize: 8, warmUpJobs: 1500, limits })
  },
}

/** The same with a model whose cost is real. */
export const endToEndPhotos: Scenario = {
  name: 'end-to-end-photos',
  title: 'End to end against the bare loop, squeezenet-imagenet',
  usual: true,
  async run(context) {
    const corpus = await photosCorpus(context.folder)
    if (corpus === null) {
      const note = 'squeezenet-imagenet and its photos are not on this machine (VISION_QUEUE_ASSETS names their folder)'
      return { notes: [`Not measured: ${note}.`] }
    }
    const env = { MODEL_REPOSITORY: corpus.repository, MODELS: corpus.model }
    const limits = { apart: 85, 'one process': 90 }
    return measureShare(context, { corpus, batchSize: 1, env, warmUpJobs: 500, limits })
  },
}

async function measureShare(
  { say, plan, services }: ScenarioContext,
  { corpus, batchSize, env, warmUpJobs: most, limits }: EndToEnd,
): Promise<Partial<Findings>> {
  const load = { requests: rawRequests(corpus), holds: '"succeeded"' }
  const warmUpJobs = Math.min(plan.warmUpJobs, most)
  const subjects: Subject[] = []
  try {
    const kind = { engine: 'real', ...(env === undefined ? {} : { env }) } as const
    subjects.push(...(await services.subjects(kind, load, warmUpJobs)))
    subjects.push(...(await openScale(load, plan.warmUpJobs)))
    const bare = await openBareModel(corpus, batchSize)
    subjects.push(bare)
    await warmUp(bare, Math.min(300, warmUpJobs))
    const judged = await measureRounds(subjects, plan, say)
    const of = (name: string) => windowsOf(judged.rounds, name)
    const bareCost = costOf(of(bareModelName)).us
    return {
      notes: [
        `${corpus.about}, 64 clients that wait for their answers, no two pictures the same. The bare loop decodes and runs the same pictures in one process a core, ${batchSize} at a time, without HTTP, Redis or messages. CPU share: CPU time of an image there over that of a job in all processes of the service.`,
        windowNote(judged, warmUpJobs, plan.windowMs),
      ],
      targets: Object.entries(limits).flatMap(([composition, limit]) => {
        if (judged.rounds[0]?.has(composition) !== true) return []
        const wall = ratePerSecond(of(composition)) / ratePerSecond(of(bareModelName))
        return {
          name: `End to end, ${corpus.model}, ${composition}: CPU share of the bare loop`,
          sense: 'at least' as const,
          limit,
          unit: '%',
          measured: (bareCost / costOf(of(composition)).us) * 100,
          digits: 0,
          note: `jobs/s with the clients on the same cores: ${(wall * 100).toFixed(0)} % of the bare loop's`,
          doubt: judged.doubt,
        }
      }),
      tables: [subjectTable('CPU time of a job', judged)],
    }
  } finally {
    await stopAll(subjects)
  }
}
