import { shapesCorpus } from '../corpora.ts'
import type { Scenario } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { openBareModel } from '../subjects/bare-model.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'

/** What the int8 graph of a model saves on this machine. */
export const int8: Scenario = {
  name: 'int8',
  title: 'The bare loop with float and with int8 graphs',
  usual: false,
  async run({ say, plan }) {
    const corpus = await shapesCorpus()
    const warmUpJobs = Math.min(plan.warmUpJobs, 300)
    const subjects: Subject[] = []
    try {
      for (const variant of ['fp32', 'int8'] as const) {
        const subject = await openBareModel(corpus, 8, variant)
        subjects.push({ ...subject, name: variant })
        await warmUp(subject, warmUpJobs)
      }
      const judged = await measureRounds(subjects, plan, say)
      return {
        notes: [
          `${corpus.about}, batches of 8: the bare loop with each variant. Accuracy: docs/int8.md.`,
          windowNote(judged, warmUpJobs, plan.windowMs),
        ],
        tables: [subjectTable('Decoding and inference', judged)],
      }
    } finally {
      await stopAll(subjects)
    }
  },
}
