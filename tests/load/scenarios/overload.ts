import { availableParallelism } from 'node:os'

import type { PlannedRequest } from '@vision-queue/load/load-plan'
import { median } from '@vision-queue/load/statistics'
import { isSuccess, type LoadSummary } from '@vision-queue/load/summary'

import { shapesCorpus } from '../corpora.ts'
import { checkDrains, type DrainCheck } from '../drain.ts'
import type { Scenario } from '../scenario.ts'
import { measureLoad, type Measurement, type Service } from '../service.ts'
import { table } from '../tables.ts'
import { doubtOf } from '../windows/rounds.ts'

/** Of the measured capacity; those above it in two rounds, for the machine is not the same at all times. */
const loads = [0.5, 1, 2, 3, 3, 2]
/** Requests that carry a deadline so short that a full queue can't keep it. */
const deadlineMs = 300
const queueLimit = 1000

interface Step {
  load: number
  measurement: Measurement
  drains: DrainCheck[]
}

/** What becomes of throughput, waits and refusals when more is asked than can be done. */
export const overload: Scenario = {
  name: 'overload',
  title: 'Below and above capacity',
  usual: false,
  async run({ say, services }) {
    const service = mainOf(await services.open({ engine: 'real' }))
    const { requests } = await shapesCorpus()
    const capacityRun = await measureLoad(service, {
      pace: { kind: 'clients', clients: 64, thinkMs: null },
      requests,
      // V8 compiles code while it runs: the first thousands of jobs cost more.
      warmUpSeconds: 8,
      seconds: 6,
    })
    const capacity = capacityRun.summary.perSecond
    say(`capacity: ${capacity.toFixed(0)} jobs/s with 64 clients`)
    const steps: Step[] = []
    for (const load of loads) {
      const measurement = await measureLoad(service, {
        pace: { kind: 'rate', perSecond: load * capacity, arrivals: 'poisson' },
        requests: withDeadlines(requests),
        warmUpSeconds: fillSeconds(load, capacity),
        seconds: load > 1 ? 5 : 4,
      })
      steps.push({ load, measurement, drains: checkDrains(measurement.samples) })
      const { perSecond, refused, latency } = measurement.summary
      say(`${load}x: ${perSecond.toFixed(0)} jobs/s, ${refused} refused, p99 ${latency.p99.toFixed(0)} ms`)
    }
    const meanOf = (load: number, of: (summary: LoadSummary) => number): number =>
      mean(steps.filter((step) => step.load === load).map(({ measurement }) => of(measurement.summary)))
    const levels = [...new Set(loads)]
    const peak = Math.max(perLeftOver(capacityRun.summary), ...levels.map((load) => meanOf(load, perLeftOver)))
    const over = steps.filter(({ load }) => load > 1)
    const doubt = doubtOf(steps.map(({ measurement }) => measurement.othersShare))
    const drains = over.flatMap((step) => step.drains)
    const ratios = drains.map(({ advisedMs, actualMs }) => advisedMs / actualMs)
    const withinTwo = ratios.filter((ratio) => ratio >= 0.5 && ratio <= 2).length / ratios.length
    const hopeless = over.map(({ measurement }) => deadlines(measurement))
    const [refusedInTime, missed] = [sum(hopeless.map(({ refused }) => refused)), sum(hopeless.map(({ late }) => late))]
    const above = levels.filter((load) => load > 1)
    const worstShare = Math.min(...above.map((load) => meanOf(load, perLeftOver) / peak))
    const worstWait = Math.max(
      ...over.map(({ measurement: { summary } }) => summary.latency.p99 / ((queueLimit / summary.perSecond) * 1000)),
    )
    return {
      notes: [
        `The service as npm start has it (${service.name}). Capacity is what 64 clients get in a closed loop. Then an open loop with Poisson arrivals at shares of it; every tenth request has deadline_ms=${deadlineMs}. Throughput per CPU-second that the load generator left over: jobs/s x cores x seconds / (cores x seconds - CPU seconds of the generator), since what refusals cost the clients is not the service’s. The peak is the best of all loads, each the mean of its runs.`,
        'Retry advice: for every refusal, retry_after_ms against the time in which as many jobs ended as were accepted and not ended at that moment.',
      ],
      targets: [
        {
          name: 'At 2x and 3x capacity: throughput, of its peak',
          sense: 'at least',
          limit: 95,
          unit: '%',
          measured: worstShare * 100,
          digits: 0,
          note: `raw ${above.map((load) => `${load}x: ${((meanOf(load, ({ perSecond }) => perSecond) / capacity) * 100).toFixed(0)} %`).join(', ')} of capacity`,
          doubt,
        },
        {
          name: 'At 2x and 3x capacity: p99 of accepted jobs, of the queue’s limit over throughput',
          sense: 'at most',
          limit: 1.5,
          unit: 'x',
          measured: worstWait,
          digits: 2,
          note: 'the wait that QUEUE_MAX_JOBS (1000) allows for',
          doubt,
        },
        {
          name: 'Refusals whose retry_after_ms is within a factor of 2 of the truth',
          sense: 'at least',
          limit: 90,
          unit: '%',
          measured: ratios.length === 0 ? null : withinTwo * 100,
          digits: 0,
          note: ratios.length === 0 ? 'no refusals' : `median advised / actual ${median(ratios).toFixed(2)}`,
          doubt,
        },
        {
          name: `Jobs whose deadline (${deadlineMs} ms) could not be kept: refused at admission`,
          sense: 'at least',
          limit: 90,
          unit: '%',
          measured: refusedInTime + missed === 0 ? null : (refusedInTime / (refusedInTime + missed)) * 100,
          digits: 0,
          note: `${refusedInTime} refused, ${missed} accepted and expired`,
          doubt,
        },
      ],
      tables: [
        table(
          'By load',
          [
            ['of capacity', 2],
            'asked/s',
            'jobs/s',
            'jobs/s per what was left over',
            'refused',
            'other errors',
            ['p50 ms', 1],
            ['p95 ms', 1],
            ['p99 ms', 1],
            'advised ms, median',
            'actual ms, median',
            'deadline jobs refused',
            'expired',
            'in time',
            'API, % of a core',
            'others %',
            ['generator late p99 ms', 1],
            'all outcomes',
          ],
          steps.map(({ load, measurement, drains: checks }) => {
            const { summary } = measurement
            const { refused, late, kept } = deadlines(measurement)
            return [
              load,
              load * capacity,
              summary.perSecond,
              perLeftOver(summary),
              summary.refused,
              summary.errors - late,
              summary.latency.p50,
              summary.latency.p95,
              summary.latency.p99,
              checks.length === 0 ? null : median(checks.map(({ advisedMs }) => advisedMs)),
              checks.length === 0 ? null : median(checks.map(({ actualMs }) => actualMs)),
              refused,
              late,
              kept,
              ((measurement.cpuUs['API'] ?? measurement.cpuUs['server'] ?? 0) * summary.succeeded) /
                summary.seconds /
                1e4,
              measurement.othersShare * 100,
              summary.lateness.p99,
              Object.entries(summary.outcomes)
                .map(([outcome, count]) => `${outcome} ${count}`)
                .join(', '),
            ]
          }),
        ),
      ],
      charts: [
        {
          kind: 'lines',
          title: 'Latency against load',
          x: { label: 'requests/s', log: false },
          y: { label: 'ms', log: true },
          series: (['p50', 'p95', 'p99'] as const).map((share) => ({
            name: share,
            points: levels.map((load) => [load * capacity, meanOf(load, ({ latency }) => latency[share])]),
          })),
        },
        {
          kind: 'lines',
          title: 'Throughput against load',
          x: { label: 'requests/s', log: false },
          y: { label: 'a second', log: false },
          series: [
            {
              name: 'jobs done',
              points: levels.map((load) => [load * capacity, meanOf(load, ({ perSecond }) => perSecond)]),
            },
            {
              name: 'refused',
              points: levels.map((load) => [
                load * capacity,
                meanOf(load, ({ refused, seconds }) => refused / seconds),
              ]),
            },
          ],
        },
      ],
    }
  },
}

/** The composition that `npm start` has: the last of this tree's. */
function mainOf(services: readonly Service[]): Service {
  const own = services.findLast(({ name }) => !name.includes(' at '))
  if (own === undefined) throw new Error('No service of this tree')
  return own
}

/** Jobs/s if the CPU time of the load generator had been the service's. */
function perLeftOver({ perSecond, seconds, cpuSeconds }: LoadSummary): number {
  const available = availableParallelism() * seconds
  return (perSecond * available) / (available - cpuSeconds)
}

/** Until the queue is full, where it gets full: what comes then is the steady state. */
function fillSeconds(load: number, capacity: number): number {
  return load > 1 ? Math.min(15, (1.2 * queueLimit) / ((load - 1) * capacity)) : 1
}

function withDeadlines(requests: readonly PlannedRequest[]): PlannedRequest[] {
  const round = Array.from({ length: 10 }, () => requests).flat()
  return round.map((request, index): PlannedRequest => (index % 10 === 0 ? withDeadline(request) : request))
}

function withDeadline(request: PlannedRequest): PlannedRequest {
  return { ...request, label: 'deadline', query: { ...request.query, deadline_ms: String(deadlineMs) } }
}

/** What became of the jobs with deadlines: refused at once, accepted and too late, or answered. */
function deadlines({ samples }: Measurement): { refused: number; late: number; kept: number } {
  const own = samples.filter(({ label, scheduledMs }) => label === 'deadline' && scheduledMs >= 0)
  const late = own.filter(({ status, outcome }) => status === 200 && outcome === 'deadline_exceeded').length
  const kept = own.filter(isSuccess).length
  return { refused: own.length - late - kept, late, kept }
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
