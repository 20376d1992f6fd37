import type { FinalJob, ModelStats } from '@vision-queue/protocol'

/** Counts the jobs that reached their final state here, by version. The counts outlive pools and reloads. */
export interface FinishedJobs {
  count(model: string, final: Pick<FinalJob, 'version' | 'status' | 'cached'>): void
  of(model: string, version: string): Pick<ModelStats, 'jobs' | 'reused'>
}

export function createFinishedJobs(): FinishedJobs {
  const counts = new Map<string, { jobs: Record<string, number>; reused: number }>()
  return {
    count(model, { version, status, cached }) {
      if (version === null) return
      const { jobs, reused } = counts.get(`${model}@${version}`) ?? { jobs: {}, reused: 0 }
      const more = { ...jobs, [status]: (jobs[status] ?? 0) + 1 }
      counts.set(`${model}@${version}`, { jobs: more, reused: reused + (cached ? 1 : 0) })
    },
    of: (model, version) => counts.get(`${model}@${version}`) ?? { jobs: {}, reused: 0 },
  }
}
