import { type Outcome, type Scaler, simulate, waitOf } from './fleet.ts'
import { byCpu, byDrainTime, byWork, fixed } from './scalers.ts'
import { arrivals, expectedJobs } from './traffic.ts'

export interface ReportOptions {
  jobsADay: number
  peakOverMean: number
  burstFactor: number
  /** CPU of a job in consumer and engine: a consumer here has one core. */
  jobMs: number
  /** Until a pod takes jobs, where there is room for it, and where a machine has to come first. */
  podSeconds: number
  machineSeconds: number
  maxJobs: number
}

const burstSeconds = 600
const seed = 1

/** Tables in Markdown: what each autoscaler makes of the same day. */
export function report(options: ReportOptions): string {
  const { jobsADay, peakOverMean, burstFactor, jobMs, podSeconds, machineSeconds, maxJobs } = options
  const expected = expectedJobs({ jobsADay, peakOverMean, burst: { factor: burstFactor, seconds: burstSeconds } })
  const peak = Math.max(...expected)
  const came = arrivals(expected, seed)
  const jobsPerSecond = 1000 / jobMs
  const enough = Math.ceil(peak / jobsPerSecond / 0.8)
  const run = (scaler: Scaler, startSeconds: number): Outcome =>
    simulate(
      {
        arrivals: came,
        jobsPerSecond,
        startSeconds,
        everySeconds: 15,
        scrapeSeconds: 15,
        maxQueued: maxJobs,
        fewest: 1,
        most: 10 * enough,
        consumers: scaler.name.startsWith('always') ? enough : Math.ceil((expected[0] ?? 0) / jobsPerSecond / 0.6),
      },
      scaler,
    )
  const scalers = (): Scaler[] => [fixed(enough), byCpu(0.6), byDrainTime(30), byWork(30, 0.8), byWork(30, 0.6)]
  const table = (startSeconds: number): string[] => [
    '| | p50 wait | p99 wait | longest | refused | consumer hours | most at once | starts |',
    '|---|---|---|---|---|---|---|---|',
    ...scalers().map((scaler) => rowOf(scaler.name, run(scaler, startSeconds), came)),
  ]
  return [
    `${round(jobsADay / 1e6)} million jobs a day, ${round(jobsADay / 86_400)} a second in the mean and ${round(peak)} at most (a burst of ${burstFactor} times the traffic from 15:00 to 15:10 among it); ${jobMs.toFixed(1)} ms of one core a job, so ${round(jobsPerSecond)} jobs a second for each consumer of one core; QUEUE_MAX_JOBS ${maxJobs}.`,
    '',
    `A pod takes jobs after ${podSeconds} s (there is room for it):`,
    '',
    ...table(podSeconds),
    '',
    `A pod takes jobs after ${machineSeconds} s (a machine has to come first):`,
    '',
    ...table(machineSeconds),
  ].join('\n')
}

function rowOf(name: string, outcome: Outcome, came: readonly number[]): string {
  const all = came.reduce((sum, jobs) => sum + jobs, 0)
  const wait = (share: number): string => (waitOf(outcome, share) === 0 ? 'under 1 s' : `${waitOf(outcome, share)} s`)
  const cells = [
    name,
    wait(0.5),
    wait(0.99),
    wait(1),
    outcome.refused === 0 ? '0' : `${((100 * outcome.refused) / all).toFixed(2)} %`,
    round(outcome.consumerHours),
    outcome.mostConsumers,
    outcome.starts,
  ]
  return `| ${cells.join(' | ')} |`
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en')
}
