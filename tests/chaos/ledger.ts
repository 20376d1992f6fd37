import { isFinal } from '@vision-queue/protocol'
import { jobChangeSchema, jobChannel } from '@vision-queue/queue'
import { read } from '@vision-queue/test-support/client'

import { openRedisView } from './redis-view.ts'
import { sleep } from './scenario.ts'

/** What became of all accepted jobs. The promise: lost, duplicated, changed and stuck are 0. */
export interface Verdict {
  accepted: number
  succeeded: number
  /** Final by an error, by its code. */
  failed: Record<string, number>
  /** Answered with 202, and unknown now. */
  lost: number
  lostIds: string[]
  /** Published as final more than once. */
  duplicated: number
  /** Whose final state was another at the second look. */
  changed: number
  /** Not final in time. */
  stuck: number
  /** Which attempt was the last, by job. */
  attempts: Map<string, { attempts: number; startedAt: number }>
}

/** The book of every 202, and of every final state that was published meanwhile. */
export interface Ledger {
  readonly ids: readonly string[]
  accept(id: string): void
  /** When the 202 was read, in milliseconds since 1970. */
  acceptedAt(id: string): number
  /** Asks for every job until it is final, at most `withinMs`, then once more for all. */
  settle(url: () => string, withinMs: number): Promise<Verdict>
  close(): void
}

const readers = 16

export async function openLedger(redisUrl: string): Promise<Ledger> {
  const subscriber = openRedisView(redisUrl)
  const ids: string[] = []
  const acceptances = new Map<string, number>()
  const published = new Map<string, number>()
  subscriber.on('pmessage', (_pattern: string, _channel: string, message: string) => {
    const change = jobChangeSchema.parse(JSON.parse(message))
    if (change.kind === 'final') published.set(change.job.id, (published.get(change.job.id) ?? 0) + 1)
  })
  await subscriber.psubscribe(jobChannel('*'))

  /** Calls `visit` for all ids, several at a time. */
  const each = async (visit: (id: string) => Promise<void>): Promise<void> => {
    const left = [...ids]
    const reader = async (): Promise<void> => {
      for (let id = left.pop(); id !== undefined; id = left.pop()) await visit(id)
    }
    await Promise.all(Array.from({ length: readers }, reader))
  }

  return {
    ids,
    accept(id) {
      ids.push(id)
      acceptances.set(id, Date.now())
    },
    acceptedAt: (id) => acceptances.get(id) ?? NaN,
    async settle(url, withinMs) {
      const end = Date.now() + withinMs
      const verdict: Verdict = {
        accepted: ids.length,
        succeeded: 0,
        failed: {},
        lost: 0,
        lostIds: [],
        duplicated: 0,
        changed: 0,
        stuck: 0,
        attempts: new Map(),
      }
      const seen = new Map<string, string>()
      await each(async (id) => {
        for (;;) {
          const job = await look(url(), id)
          if (job === 'lost') {
            verdict.lost += 1
            verdict.lostIds.push(id)
            return
          }
          if (job !== 'unreachable' && isFinal(job.status)) {
            seen.set(id, `${job.status} ${job.completed_at}`)
            verdict.attempts.set(id, {
              attempts: job.attempts,
              startedAt: Date.parse(job.started_at ?? job.created_at),
            })
            const code = job.error?.code
            if (code === undefined) verdict.succeeded += 1
            else verdict.failed[code] = (verdict.failed[code] ?? 0) + 1
            return
          }
          if (Date.now() > end) {
            verdict.stuck += 1
            return
          }
          await sleep(100)
        }
      })
      await each(async (id) => {
        const job = await look(url(), id)
        if (typeof job !== 'string' && seen.has(id) && seen.get(id) !== `${job.status} ${job.completed_at}`) {
          verdict.changed += 1
        }
      })
      verdict.duplicated = ids.filter((id) => (published.get(id) ?? 0) > 1).length
      return verdict
    },
    close: () => subscriber.disconnect(),
  }
}

async function look(url: string, id: string): Promise<Awaited<ReturnType<typeof read>> | 'lost' | 'unreachable'> {
  try {
    return await read(url, id)
  } catch (error) {
    return error instanceof Error && error.message.startsWith('404 ') ? 'lost' : 'unreachable'
  }
}

/** Whether no accepted job was lost, had two final states, or has none. */
export function promiseHeld({ lost, duplicated, changed, stuck }: Verdict): boolean {
  return lost + duplicated + changed + stuck === 0
}

/** The verdict as figures of a finding. */
export function verdictFigures(verdict: Verdict): Record<string, number | string> {
  const { accepted, succeeded, failed, lost, duplicated, changed, stuck } = verdict
  const codes = Object.entries(failed).map(([code, count]) => `${code} ${count}`)
  const failures = codes.length === 0 ? 0 : codes.join(', ')
  return { accepted, succeeded, failed: failures, lost, duplicated, changed, stuck }
}
