import type { JobSource } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

/** The queues that jobs are taken from, and those that are being let go. */
export interface OpenQueues {
  take(model: string, pinnedTo: string | null): void
  /** Fetches no more jobs; those that were taken are finished or handed back. */
  stopTaking(model: string, pinnedTo: string | null): void
  /** Resolves once the jobs of all queues are finished or handed back. */
  close(): Promise<void>
  /** Lets go of all queues at once. */
  abandon(): void
}

export function createOpenQueues(
  openSource: (model: string, pinnedTo: string | null) => JobSource,
  log: Pick<Logger, 'warn'>,
): OpenQueues {
  const taking = new Map<string, JobSource>()
  const leaving = new Set<JobSource>()
  const key = (model: string, pinnedTo: string | null): string => (pinnedTo === null ? model : `${model}@${pinnedTo}`)
  return {
    take(model, pinnedTo) {
      taking.set(key(model, pinnedTo), openSource(model, pinnedTo))
    },
    stopTaking(model, pinnedTo) {
      const source = taking.get(key(model, pinnedTo))
      if (source === undefined) return
      taking.delete(key(model, pinnedTo))
      leaving.add(source)
      source
        .close()
        .catch((error: unknown) => log.warn({ model, error: String(error) }, 'A queue could not be let go'))
        .finally(() => leaving.delete(source))
    },
    async close() {
      await Promise.all([...taking.values(), ...leaving].map(async (source) => source.close()))
    },
    abandon() {
      for (const source of [...taking.values(), ...leaving]) source.abandon()
    },
  }
}
