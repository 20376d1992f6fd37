import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import { noopEngines, startService } from '../compositions.ts'
import { pictureOf, rawRequests } from '../corpora.ts'
import type { Target } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { echoName, openEcho } from '../subjects/echo.ts'
import { openHttpSubject } from '../subjects/http-load.ts'
import type { RawRequest } from '../subjects/http-plan.ts'
import { openListeners } from '../subjects/listeners.ts'
import { openQueueTraffic, type Traffic } from '../subjects/queue-traffic.ts'
import type { Subject } from '../subjects/subject.ts'
import { table } from '../tables.ts'
import { measureRounds, warmUp, type WindowPlan } from '../windows/measure.ts'
import { costOf, type Judged, windowsOf } from '../windows/rounds.ts'

/** What flat means: noise is some ten percent, and what grows with the logarithm of 100,000 is well below. */
const mostGrowth = 1.3

/** How deep, in a run that counts and in a quick one. */
const depths = {
  real: { waiting: 100_000, results: 10_000, listeners: 1000, models: 50, owners: 200 },
  quick: { waiting: 2000, results: 500, listeners: 100, models: 5, owners: 20 },
}
type Depths = typeof depths.real

/** An operation at the start and at depth. */
interface Growth {
  what: string
  startUs: number
  deepUs: number
  /** How many times as much at depth, after what the machine's own speed changed meanwhile. */
  ratio: number
  doubt: string | null
}

/** That nothing costs more because there is much of something else. */
export const depth: Scenario = {
  name: 'depth',
  title: 'Nothing grows with depth',
  usual: true,
  async run(context) {
    const wanted = context.quick ? depths.quick : depths.real
    // Thousands of operations fit in a short window.
    const plan = { ...context.plan, windowMs: context.plan.windowMs / 2, settleMs: context.plan.settleMs / 2 }
    const found = [
      ...(await measureWaiting(context, plan, wanted)),
      ...(await measureResults(context, plan, wanted)),
      ...(await measureTraffic(context, plan, wanted)),
    ]
    return {
      notes: [
        `CPU time of one operation, API and Redis, 64 clients, at the start and at depth; the same for queue traffic straight on the transport (producer, Redis, consumer). Between start and depth minutes pass, so the ratio is that of the multiples of E, which is measured at both times; queue traffic is measured side by side.`,
        `Jobs wait because their consumer was killed once it had announced its model.`,
      ],
      targets: found.map(({ what, ratio, startUs, deepUs, doubt }): Target => ({
        name: `CPU time at depth: ${what}`,
        sense: 'at most',
        limit: mostGrowth,
        unit: 'x',
        measured: ratio,
        digits: 2,
        note: `${startUs.toFixed(0)} and ${deepUs.toFixed(0)} us`,
        doubt,
      })),
      tables: [
        table(
          'CPU time of an operation',
          ['', 'at the start, us', 'at depth, us', ['ratio', 2]],
          found.map(({ what, startUs, deepUs, ratio }) => [what, startUs, deepUs, ratio]),
        ),
      ],
    }
  },
}

/** Submissions, looks at a job and at the list: with few and with many jobs waiting, and with many event streams open. */
async function measureWaiting(
  { say, folder, plan: { warmUpJobs } }: ScenarioContext,
  plan: WindowPlan,
  { waiting, listeners }: Depths,
): Promise<Growth[]> {
  const submission = await waitlessSubmission(folder)
  const roomy = { QUEUE_MAX_JOBS: '10000000', QUEUE_MAX_BYTES: String(2 ** 40) }
  const service = await startService('apart', { composition: 'apart', ...noopEngines(), apiEnv: roomy })
  const subjects: Subject[] = []
  try {
    const [consumer] = service.system.consumers
    consumer?.signal('SIGKILL')
    await consumer?.exited
    const ids = await submitMany(service.url, submission, 64)
    const load = { clients: 64, holds: '"queued"' }
    const open = async (name: string, requests: RawRequest[]): Promise<Subject> => {
      const subject = await openHttpSubject({ ...service, name }, { ...load, requests })
      subjects.push(subject)
      return subject
    }
    const submit = await open('submission', [submission])
    const look = await open(
      'GET /jobs/{id}',
      ids.map((id) => get(`/jobs/${id}`)),
    )
    const list = await open('GET /jobs?limit=50', [get('/jobs?limit=50')])
    const echo = await openEcho({ requests: [submission] })
    subjects.push(echo)
    for (const subject of subjects) await warmUp(subject, subject === list ? warmUpJobs / 5 : warmUpJobs)
    const start = await measureRounds(subjects, plan, say)
    await warmUp(submit, waiting)
    say(`more than ${waiting} jobs wait`)
    const deep = await measureRounds(subjects, plan, say)
    const jobs = await submitMany(service.url, submission, listeners)
    const streams = await openListeners(service.url, jobs)
    const watched = await measureWatched([submit, echo], plan, say, streams)
    return [
      ...[submit, look, list].map(({ name }) => growthOf(`${name}, ${waiting} jobs waiting`, start, deep, name)),
      growthOf(`submission, ${listeners} event streams open besides`, deep, watched, submit.name),
    ]
  } finally {
    await stopAll(subjects)
    await service.stop()
  }
}

/** Measures while event streams are open, and closes them. */
async function measureWatched(
  subjects: readonly Subject[],
  plan: WindowPlan,
  say: (line: string) => void,
  streams: { stop: () => Promise<void> },
): Promise<Judged> {
  try {
    return await measureRounds(subjects, plan, say)
  } finally {
    await streams.stop()
  }
}

/** The list of an owner's jobs, with few and with many results in it. */
async function measureResults(
  { say, folder }: ScenarioContext,
  plan: WindowPlan,
  { results }: Depths,
): Promise<Growth[]> {
  const submission = await waitlessSubmission(folder)
  const service = await startService('apart', { composition: 'apart', ...noopEngines() })
  const subjects: Subject[] = []
  try {
    const waitFor = { ...submission, headers: [...submission.headers, 'prefer: wait=60'] }
    const jobs = await openHttpSubject(service, { requests: [waitFor], holds: '"succeeded"' })
    const name = 'GET /jobs?limit=50&status=succeeded'
    const requests = [get('/jobs?limit=50&status=succeeded')]
    const list = await openHttpSubject({ ...service, name }, { requests, holds: '"succeeded"' })
    const echo = await openEcho({ requests: [submission] })
    subjects.push(jobs, list, echo)
    await warmUp(jobs, 100)
    for (const subject of [list, echo]) await warmUp(subject, Math.min(2000, 2 * results))
    const start = await measureRounds([list, echo], plan, say)
    await warmUp(jobs, results)
    const deep = await measureRounds([list, echo], plan, say)
    return [growthOf(`${name}, ${results} results`, start, deep, name)]
  } finally {
    await stopAll(subjects)
    await service.stop()
  }
}

/** Queue traffic of one model and of one owner, beside that with many. */
async function measureTraffic(
  { say, plan: { warmUpJobs } }: ScenarioContext,
  plan: WindowPlan,
  { models, owners }: Depths,
): Promise<Growth[]> {
  const pairs: { what: string; one: Traffic; many: Traffic }[] = [
    {
      what: `a job of one model beside ${models - 1} idle ones`,
      one: { name: 'one model', models: ['model-0'] },
      many: { name: `${models} models`, models: namesOf('model', models), busyModels: 1 },
    },
    {
      what: `a job of one of ${owners} owners`,
      one: { name: 'one owner', owners: ['owner-0'] },
      many: { name: `${owners} owners`, owners: namesOf('owner', owners) },
    },
  ]
  const found: Growth[] = []
  for (const { what, one, many } of pairs) {
    const subjects: Subject[] = []
    try {
      for (const traffic of [one, many]) {
        const subject = await openQueueTraffic(traffic)
        subjects.push(subject)
        await warmUp(subject, warmUpJobs)
      }
      const { rounds, doubt } = await measureRounds(subjects, plan, say)
      const [startUs, deepUs] = [costOf(windowsOf(rounds, one.name)).us, costOf(windowsOf(rounds, many.name)).us]
      found.push({ what, startUs, deepUs, ratio: deepUs / startUs, doubt })
    } finally {
      await stopAll(subjects)
    }
  }
  return found
}

function growthOf(what: string, start: Judged, deep: Judged, name: string): Growth {
  const of = ({ rounds }: Judged, subject: string): number => costOf(windowsOf(rounds, subject)).us
  const [startUs, deepUs] = [of(start, name), of(deep, name)]
  const ratio = deepUs / of(deep, echoName) / (startUs / of(start, echoName))
  return { what, startUs, deepUs, ratio, doubt: start.doubt ?? deep.doubt }
}

function namesOf(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${kind}-${index}`)
}

function get(path: string): RawRequest {
  return { method: 'GET', path, headers: [], file: null }
}

/** A small picture that nobody waits for. */
async function waitlessSubmission(folder: string): Promise<RawRequest> {
  const [request] = rawRequests(await pictureOf(2000, folder))
  if (request === undefined) throw new Error('No request')
  return { ...request, headers: request.headers.filter((header) => !header.startsWith('prefer')) }
}

/** The ids of so many jobs that were submitted one after the other. */
async function submitMany(url: string, { path, headers, file }: RawRequest, count: number): Promise<string[]> {
  const body = await readFile(file ?? '')
  const contentType = headers.find((header) => header.startsWith('content-type'))?.split(': ')[1] ?? ''
  const ids: string[] = []
  while (ids.length < count) {
    const response = await fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': contentType }, body })
    ids.push(z.object({ id: z.string() }).parse(await response.json()).id)
  }
  return ids
}
