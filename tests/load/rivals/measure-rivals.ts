import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { z } from 'zod'

import { type LoopReport, runClosedLoop } from './closed-loop-process.ts'
import type { Contender, Part, RunningContender } from './contender.ts'
import { treeCpuSeconds } from './process-cpu.ts'
import { celeryContender, plainCeleryContender, plainRqContender, rqContender } from './python-contenders.ts'
import { openPythonPackages } from './python-packages.ts'
import { visionQueueContender } from './vision-queue-contender.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

export interface RivalsOptions {
  /** One row of the report each. */
  clientCounts: readonly number[]
  /** Of each run. Below 2 the CPU times get coarse: they come in steps of 0.01 s a process. */
  secondsPerRun: number
  /** The contenders take turns so often; a row sums up its runs of all rounds. */
  rounds: number
  /** Celery and RQ once more, as their introductions have them rather than tuned. */
  plain?: boolean
  /** A line for the person who waits. */
  say: (line: string) => void
}

/** One contender at one number of clients, all rounds together. */
export interface RivalReport {
  name: string
  /** By part, such as `celery`. */
  versions: Record<string, string>
  clients: number
  /** Answered rightly. */
  jobs: number
  seconds: number
  jobsPerSecond: number
  /** Of the time from request to checked answer, in milliseconds, over the jobs of all rounds. */
  p50: number
  p95: number
  p99: number
  errors: number
  firstError: string | null
  /** `clients` is the load generator, which runs on the same cores and is nobody's. */
  cpuMsPerJob: Record<Part | 'clients', number>
}

export type RivalsResult =
  | { kind: 'measured'; reports: RivalReport[] }
  /** Debian's packages can't be had here. */
  | { kind: 'unavailable'; reason: string }

/**
 * What somebody would take instead of this project, Celery or RQ behind FastAPI, in one run with it: the
 * same Redis, cores, images and load, and on all sides a model that computes nothing, so that HTTP, queue
 * and process overhead are what is compared. Each runs alone, with a warm-up that isn't counted. The
 * rounds start with another contender each time, so that a slow spell of the machine hits them all.
 */
export async function measureRivals(options: RivalsOptions): Promise<RivalsResult> {
  const packages = await openPythonPackages({ folder: `${root}.vision-queue/python-packages`, env: process.env })
  if ('reason' in packages) return { kind: 'unavailable', reason: packages.reason }

  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(`${root}package.json`, 'utf8')))
  const plain = [plainCeleryContender(packages), plainRqContender(packages)]
  const tuned = [visionQueueContender(version), celeryContender(packages), rqContender(packages)]
  const contenders = options.plain === true ? [...tuned, ...plain] : tuned
  const runs: Run[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    const first = round % contenders.length
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      options.say(`round ${round + 1} of ${options.rounds}: ${contender.name}`)
      runs.push(...(await measureTurn(contender, options)))
    }
  }
  const reports = options.clientCounts.flatMap((clients) =>
    contenders.map((contender) =>
      summarise(
        contender,
        clients,
        runs.filter((run) => run.contender === contender && run.clients === clients),
      ),
    ),
  )
  return { kind: 'measured', reports }
}

interface Run {
  contender: Contender
  clients: number
  report: LoopReport
  cpuSeconds: Record<Part, number>
}

/**
 * V8 compiles our API and consumer while they run: after 2 s of load a job cost them 6.6 ms of CPU, after
 * 2,500 jobs 2.7 ms. Python has no such phase. The time limit is for contenders that would take minutes.
 */
const warmUp = { maxJobs: 4000, seconds: 20 }

async function measureTurn(contender: Contender, options: RivalsOptions): Promise<Run[]> {
  const running = await contender.start()
  try {
    // Workers may come up after their API: the first answer is waited for on its own.
    await runClosedLoop({ url: running.submitUrl, clients: 1, seconds: 0.1 })
    await runClosedLoop({ url: running.submitUrl, clients: 64, ...warmUp })
    const runs: Run[] = []
    for (const clients of options.clientCounts) {
      const before = cpuOf(running)
      const report = await runClosedLoop({ url: running.submitUrl, clients, seconds: options.secondsPerRun })
      const after = cpuOf(running)
      runs.push({ contender, clients, report, cpuSeconds: byPart((part) => after[part] - before[part]) })
    }
    return runs
  } finally {
    await running.stop()
  }
}

function summarise({ name, versions }: Contender, clients: number, runs: readonly Run[]): RivalReport {
  const sum = (value: (run: Run) => number): number => runs.reduce((total, run) => total + value(run), 0)
  const latencies = Float64Array.from(runs.flatMap(({ report }) => report.latenciesMs)).toSorted()
  // Nearest rank; NaN where nothing succeeded.
  const percentile = (share: number): number => latencies[Math.ceil(share * latencies.length) - 1] ?? NaN
  const jobs = latencies.length
  const seconds = sum(({ report }) => report.seconds)
  return {
    name,
    versions,
    clients,
    jobs,
    seconds,
    jobsPerSecond: jobs / seconds,
    p50: percentile(0.5),
    p95: percentile(0.95),
    p99: percentile(0.99),
    errors: sum(({ report }) => report.errors),
    firstError: runs.map(({ report }) => report.firstError).find((error) => error !== null) ?? null,
    cpuMsPerJob: {
      ...byPart((part) => (sum(({ cpuSeconds }) => cpuSeconds[part]) / jobs) * 1000),
      clients: (sum(({ report }) => report.cpuSeconds) / jobs) * 1000,
    },
  }
}

function cpuOf({ pids }: RunningContender): Record<Part, number> {
  return byPart((part) => treeCpuSeconds(pids[part]))
}

function byPart(value: (part: Part) => number): Record<Part, number> {
  return { api: value('api'), redis: value('redis'), workers: value('workers') }
}
