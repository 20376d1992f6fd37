import { availableParallelism } from 'node:os'

import type { LoadPlan } from '@vision-queue/load/load-plan'
import type { Sample } from '@vision-queue/load/sample'
import { isSuccess, type LoadSummary, summarise } from '@vision-queue/load/summary'
import { startSystem, type System, type SystemOptions } from '@vision-queue/test-support/system'

import { shapesCorpus } from './corpora.ts'
import { generateLoad } from './generator.ts'
import { childrenOf, type CpuTime, cpuTime, machineCpuSeconds } from './processes.ts'

/** The kinds of processes of the service. */
export const roles = ['API', 'Redis', 'consumer', 'engines'] as const
export type Role = (typeof roles)[number]

export interface Measurement {
  summary: LoadSummary
  samples: Sample[]
  /** CPU time during the measurement, by kind of process. */
  cpu: Record<Role, CpuTime>
  /** CPU time of everything else on this machine meanwhile, the load generator left out: noise. */
  othersCpuSeconds: number
  /** How many runs of the model there were by batch size, as the jobs tell it. */
  batches: Map<number, number>
}

/** What is asked of a service; the plan's other fields are the same throughout. */
export type Load = Pick<LoadPlan, 'pace' | 'requests'> & {
  seconds: number
  warmUpSeconds?: number
  repeatPictures?: boolean
}

/** A service that can be put under load and watched. */
export interface MeasuredService {
  system: System
  measure(load: Load): Promise<Measurement>
  /** Its processes now: engines come and go. */
  processes(): { role: Role; pid: number }[]
  stop(): Promise<void>
}

/** Starts the service as it is shipped: defaults all over, but for what the options say. */
export async function startService(options: SystemOptions = {}): Promise<MeasuredService> {
  // Empty is as not set: what the tests have otherwise, a quick heartbeat and no answers kept, is as shipped here.
  const shipped = { HEARTBEAT_MS: '', ANSWER_TTL_MS: '' }
  const system = await startSystem({ ...options, consumerEnv: { ...shipped, ...options.consumerEnv } })
  const processes = (): { role: Role; pid: number }[] => [
    ...system.apis.map(({ pid }) => ({ role: 'API' as const, pid })),
    { role: 'Redis', pid: system.redis.pid },
    ...system.consumers.flatMap(({ pid }) => [
      { role: 'consumer' as const, pid },
      ...childrenOf(pid).map((child) => ({ role: 'engines' as const, pid: child })),
    ]),
  ]
  return {
    system,
    processes,
    measure: async (load) => measureLoad({ url: system.url, load, processes }),
    stop: async () => system.stop(),
  }
}

/** Puts a load on an API and takes the CPU time of its processes meanwhile. */
export async function measureLoad({
  url,
  load,
  processes,
}: {
  url: string
  load: Load
  processes: () => { role: Role; pid: number }[]
}): Promise<Measurement> {
  const look = (): { byRole: Record<Role, CpuTime>; machine: number } => {
    const byRole: Record<Role, CpuTime> = {
      API: { user: 0, system: 0 },
      Redis: { user: 0, system: 0 },
      consumer: { user: 0, system: 0 },
      engines: { user: 0, system: 0 },
    }
    for (const { role, pid } of processes()) {
      const { user, system } = cpuTime(pid)
      byRole[role].user += user
      byRole[role].system += system
    }
    return { byRole, machine: machineCpuSeconds() }
  }
  let before = look()
  let after = before
  const run = await generateLoad(
    {
      url,
      apiKey: null,
      waitSeconds: 60,
      pace: load.pace,
      requests: load.requests,
      uniquePictures: load.repeatPictures !== true,
      warmUpMs: (load.warmUpSeconds ?? 1) * 1000,
      durationMs: load.seconds * 1000,
    },
    {
      onStart: () => {
        before = look()
      },
      onEnd: () => {
        after = look()
      },
    },
  )
  const used = (role: Role): CpuTime => ({
    user: after.byRole[role].user - before.byRole[role].user,
    system: after.byRole[role].system - before.byRole[role].system,
  })
  const cpu = { API: used('API'), Redis: used('Redis'), consumer: used('consumer'), engines: used('engines') }
  const ours = roles.reduce((sum, role) => sum + cpu[role].user + cpu[role].system, 0)
  return {
    summary: summarise(run),
    samples: run.samples,
    cpu,
    othersCpuSeconds: Math.max(0, after.machine - before.machine - ours - run.cpuSeconds),
    batches: batchesOf(run.samples),
  }
}

/** CPU milliseconds per succeeded job of one kind of process. */
export function cpuMsPerJob({ cpu, summary }: Pick<Measurement, 'cpu' | 'summary'>, role: Role): number {
  return ((cpu[role].user + cpu[role].system) / summary.succeeded) * 1000
}

/** The share of all cores that processes which are none of ours took. */
export function othersShare({ othersCpuSeconds, summary }: Measurement): number {
  return othersCpuSeconds / (summary.seconds * availableParallelism())
}

/** Each job says how many shared its run, so a run of eight is said eight times. */
function batchesOf(samples: readonly Sample[]): Map<number, number> {
  const jobs = new Map<number, number>()
  for (const sample of samples) {
    const size = sample.times?.batch_size
    if (isSuccess(sample) && !sample.cached && size !== undefined) jobs.set(size, (jobs.get(size) ?? 0) + 1)
  }
  return new Map([...jobs].map(([size, count]) => [size, count / size] as const).toSorted(([a], [b]) => a - b))
}

/** The mean size of the batches. */
export function meanBatch(batches: ReadonlyMap<number, number>): number {
  let [jobs, runs] = [0, 0]
  for (const [size, count] of batches) {
    jobs += size * count
    runs += count
  }
  return jobs / runs
}

/**
 * Load until about 3,000 jobs are done, or 15 s: V8 compiles the API and the consumer while they run, and the
 * first thousands of jobs cost more than twice the CPU time of later ones.
 */
export async function warmUp(
  measure: (load: Load) => Promise<Measurement>,
  requests?: Load['requests'],
): Promise<void> {
  const load = {
    pace: { kind: 'clients', clients: 64, thinkMs: null } as const,
    requests: requests ?? (await shapesCorpus()).requests,
    warmUpSeconds: 0,
  }
  const { summary } = await measure({ ...load, seconds: 3 })
  const rest = (3000 - summary.succeeded) / Math.max(1, summary.perSecond)
  if (rest > 0.5) await measure({ ...load, seconds: Math.min(12, rest) })
}
