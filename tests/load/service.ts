import type { LoadPlan } from '@vision-queue/load/load-plan'
import type { Sample } from '@vision-queue/load/sample'
import { isSuccess, type LoadSummary, summarise } from '@vision-queue/load/summary'
import type { System } from '@vision-queue/test-support/system'

import { generateLoad } from './generator.ts'
import { type ProcessTable, readProcessTable, treeOf } from './processes.ts'
import type { Server } from './subjects/http-load.ts'
import { lookAt } from './windows/look.ts'
import { othersShare, type Window, windowOf } from './windows/window.ts'

/** A service that runs, in one of its compositions. */
export interface Service extends Server {
  system: System
  stop(): Promise<void>
}

/** A load of apps/load on a service, for scenarios that need every answer's details or more than it can bear. */
export type Load = Pick<LoadPlan, 'pace' | 'requests'> & {
  seconds: number
  warmUpSeconds?: number
  repeatPictures?: boolean
}

export interface Measurement {
  summary: LoadSummary
  samples: Sample[]
  /** CPU microseconds a succeeded job, by part. */
  cpuUs: Window['cpuUs']
  /** The share of all cores that processes took which don't belong to the benchmark. */
  othersShare: number
  /** How many runs of the model there were by batch size, as the jobs tell it. */
  batches: Map<number, number>
}

/** Puts a load on a service and takes the CPU time of its processes meanwhile. */
export async function measureLoad({ url, parts }: Pick<Service, 'url' | 'parts'>, load: Load): Promise<Measurement> {
  const look = (): { table: ProcessTable; at: ReturnType<typeof lookAt> } => {
    const table = readProcessTable()
    return { table, at: lookAt(treeOf(process.pid, table)) }
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
  const summary = summarise(run)
  const tally = { jobs: summary.succeeded, failures: summary.errors, failure: null }
  const { cpuUs } = windowOf(before.at, after.at, parts(after.table), {
    ...tally,
    p50Ms: summary.latency.p50,
    p99Ms: summary.latency.p99,
    beyondP50Ms: null,
  })
  return {
    summary,
    samples: run.samples,
    cpuUs,
    othersShare: othersShare(before.at, after.at),
    batches: batchesOf(run.samples),
  }
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
