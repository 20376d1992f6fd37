import { rawRequests, shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { openEcho } from '../subjects/echo.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { timeOf, windowsOf } from '../windows/rounds.ts'

/** How fast a question is answered that was answered before. */
export const cache: Scenario = {
  name: 'cache',
  title: 'A repeated image and question',
  usual: true,
  async run({ say, plan, services }) {
    const requests = rawRequests(await shapesCorpus())
    const load = { requests, clients: 4, unique: false }
    const warmUpJobs = Math.min(plan.warmUpJobs, 1500)
    const subjects: Subject[] = []
    try {
      // Asked once each, then answers of which any that is not kept is a failure.
      await stopAll(await services.subjects({ engine: 'real' }, { ...load, clients: 64 }, warmUpJobs))
      subjects.push(...(await services.subjects({ engine: 'real' }, { ...load, holds: '"cached":true' }, warmUpJobs)))
      const own = subjects.map(({ name }) => name).filter((name) => !name.includes(' at '))
      const echo = await openEcho(load)
      subjects.push(echo)
      await warmUp(echo, plan.warmUpJobs)
      const judged = await measureRounds(subjects, plan, say)
      return {
        notes: [
          `${requests.length} pictures and questions again and again, 4 clients. An answer that was computed counts as a failure.`,
          windowNote(judged, warmUpJobs, plan.windowMs),
        ],
        targets: own.map((name) => ({
          name: `A repeated image and question: request to answer, p50, ${name}`,
          sense: 'at most' as const,
          limit: 3,
          unit: 'ms',
          measured: timeOf(windowsOf(judged.rounds, name), 'p50Ms'),
          digits: 2,
          note: null,
          doubt: judged.doubt,
        })),
        tables: [subjectTable('Kept answers', judged)],
      }
    } finally {
      await stopAll(subjects)
    }
  },
}
