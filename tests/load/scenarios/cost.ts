import { type Corpus, pictureOf, rawRequests } from '../corpora.ts'
import type { Target } from '../figures.ts'
import type { Scenario } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { echoName } from '../subjects/echo.ts'
import { openScale } from '../subjects/scale.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds } from '../windows/measure.ts'
import { costOf, type Judged, windowsOf } from '../windows/rounds.ts'

interface CostOptions {
  name: string
  title: string
  bytes: number
  engine: 'real' | 'no-op'
  /** In E, by composition. */
  limits: Readonly<Record<string, number>>
  /** Of the service, where the usual number would take minutes. */
  mostWarmUpJobs?: number
}

/** What a job costs without its engines, in multiples of an echo of the same body. */
function costScenario({ name, title, bytes, engine, limits, mostWarmUpJobs = Infinity }: CostOptions): Scenario {
  return {
    name,
    title,
    usual: true,
    async run({ say, folder, plan, services }) {
      const corpus = await pictureOf(bytes, folder)
      const load = { requests: rawRequests(corpus), holds: '"succeeded"' }
      const warmUpJobs = Math.min(plan.warmUpJobs, mostWarmUpJobs)
      const subjects: Subject[] = []
      try {
        subjects.push(...(await services.subjects({ engine }, load, warmUpJobs)))
        subjects.push(...(await openScale(load, plan.warmUpJobs)))
        const judged = await measureRounds(subjects, plan, say)
        return {
          notes: [
            `${about(corpus, engine)}, no two requests the same bytes, 64 clients that wait for their answers. The engines' own CPU time is shown and not part of the figure.`,
            windowNote(judged, warmUpJobs, plan.windowMs),
          ],
          targets: costTargets(judged, title, limits),
          tables: [subjectTable('CPU time of a job', judged)],
        }
      } finally {
        await stopAll(subjects)
      }
    },
  }
}

function about(corpus: Corpus, engine: CostOptions['engine']): string {
  return engine === 'real' ? corpus.about : `${corpus.about}, engines that only count its bytes`
}

/** One target for each composition that was measured. */
function costTargets({ rounds, doubt }: Judged, title: string, limits: CostOptions['limits']): Target[] {
  const echo = costOf(windowsOf(rounds, echoName)).us
  return Object.entries(limits).flatMap(([composition, limit]) => {
    if (rounds[0]?.has(composition) !== true) return []
    const { us, parts } = costOf(windowsOf(rounds, composition), ['engines'])
    const split = Object.entries(parts).filter(([part]) => part !== 'clients')
    return {
      name: `${title}, ${composition}`,
      sense: 'at most',
      limit,
      unit: 'E',
      measured: us / echo,
      digits: 1,
      note: `E ${echo.toFixed(0)} us; ${split.map(([part, partUs]) => `${part} ${(partUs / echo).toFixed(1)} E`).join(', ')}`,
      doubt,
    }
  })
}

export const cost = costScenario({
  name: 'cost',
  title: 'Own CPU time of a job, 50 KB',
  bytes: 50_000,
  engine: 'no-op',
  limits: { apart: 11, 'one process': 7 },
})

export const costOfPhoto = costScenario({
  name: 'cost-photo',
  title: 'Own CPU time of a job, photo of 189 KB',
  bytes: 189_000,
  engine: 'no-op',
  limits: { apart: 10, 'one process': 6 },
})

export const costOfReal = costScenario({
  name: 'cost-real',
  title: 'Own CPU time of a job, 50 KB, real shapes-vqa',
  bytes: 50_000,
  engine: 'real',
  limits: { apart: 14, 'one process': 14 },
  mostWarmUpJobs: 1500,
})
