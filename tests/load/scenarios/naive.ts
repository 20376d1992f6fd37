import type { Table } from '@vision-queue/load/html-page'

import { rawRequests, shapesCorpus } from '../corpora.ts'
import type { Target } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable } from '../subject-table.ts'
import type { HttpLoad } from '../subjects/http-load.ts'
import { openHttpSubject } from '../subjects/http-load.ts'
import { naiveName, type NaiveServer, startNaive } from '../subjects/naive.ts'
import { openEcho } from '../subjects/echo.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { ratePerSecond, windowsOf } from '../windows/rounds.ts'

const warmUpJobs = 1500
const clientCounts = [1, 8, 64]

/** One request, one run, in the server's process, against the service. */
export const naive: Scenario = {
  name: 'naive',
  title: 'Before and after: one request, one run',
  usual: true,
  async run(context) {
    const corpus = await shapesCorpus()
    const load = { requests: rawRequests(corpus), holds: '"succeeded"' }
    const jobs = Math.min(context.plan.warmUpJobs, warmUpJobs)
    const server = await startNaive(corpus.repository)
    try {
      const warming = await openHttpSubject(server, load)
      await warmUp(warming, jobs)
      await warming.stop()
      const targets: Target[] = []
      const tables: Table[] = []
      for (const clients of clientCounts) {
        const found = await measureAt({ context, server, load: { ...load, clients }, clients })
        targets.push(...found.targets)
        tables.push(found.table)
      }
      return {
        notes: [
          'The naive server decodes and runs each request at once and alone, in its own process, with the service’s own decoder, graph and libraries (tests/load/subjects/naive-server.ts). shapes-vqa is nearly free to run, so a naive server, which spares itself queue and processes, does well on it; it has no queue bound, loses what it holds when it dies, and uses one core for inference.',
          `${corpus.about}; closed loops. ${jobs} jobs of each before the first window; jobs/s by the lower quartile of the time a job took.`,
        ],
        targets,
        tables,
      }
    } finally {
      await server.stop()
    }
  },
}

async function measureAt({
  context: { services, plan, say },
  server,
  load,
  clients,
}: {
  context: ScenarioContext
  server: NaiveServer
  load: HttpLoad
  clients: number
}): Promise<{ targets: Target[]; table: Table }> {
  const subjects: Subject[] = []
  try {
    subjects.push(...(await services.subjects({ engine: 'real' }, load, Math.min(plan.warmUpJobs, warmUpJobs))))
    const own = subjects.map(({ name }) => name).filter((name) => !name.includes(' at '))
    subjects.push(await openHttpSubject(server, load), await openEcho(load))
    const judged = await measureRounds(subjects, plan, say)
    const naively = ratePerSecond(windowsOf(judged.rounds, naiveName))
    const who = clients === 1 ? '1 client' : `${clients} clients`
    const targets = own.map((name): Target => {
      const rate = ratePerSecond(windowsOf(judged.rounds, name))
      return {
        name: `Jobs/s of the naive server's with ${who}, ${name}`,
        sense: 'at least',
        limit: clients === 1 ? 85 : 100,
        unit: '%',
        measured: (rate / naively) * 100,
        digits: 0,
        note: `${rate.toFixed(0)} and ${naively.toFixed(0)} jobs/s`,
        doubt: judged.doubt,
      }
    })
    return { targets, table: subjectTable(who, judged) }
  } finally {
    await stopAll(subjects)
  }
}
