import { jobResponseSchema } from '@vision-queue/protocol'
import { forms } from '@vision-queue/test-support/client'
import type { TestRedis } from '@vision-queue/test-support/redis'
import { startSystem, type System, type SystemOptions } from '@vision-queue/test-support/system'

import { type Ledger, openLedger, promiseHeld, type Verdict, verdictFigures } from './ledger.ts'
import { settledLeftovers } from './leftovers.ts'
import { freshExample, type LoadCounts, type LoadOptions, offerLoad } from './load.ts'
import { openRedisView, type RedisView } from './redis-view.ts'
import type { Finding } from './scenario.ts'

/** A system that clients use while something happens to it. */
export interface UnderLoad {
  system: System
  redis: RedisView
  ledger: Ledger
  /** Starts clients; `stop` resolves to what they met. */
  load(options?: Partial<LoadOptions>): { stop(): Promise<LoadCounts> }
  /** Submits once, on the side. */
  probe(): Promise<{ status: number; ms: number }>
  /** Waits for all accepted jobs and looks at what is left; `more` adds figures and can break the promise. */
  finding(fault: string, counts: LoadCounts, more?: { figures?: Finding['figures']; held?: boolean }): Promise<Finding>
  verdict(): Promise<Verdict>
}

/** Starts a system, has `strike` happen to it, and leaves nothing behind. */
export async function underLoad<T>(
  options: SystemOptions & { redis?: TestRedis },
  strike: (setting: UnderLoad) => Promise<T>,
): Promise<T> {
  const system = await startSystem({
    ...options,
    // Nothing is to be left of a job that has failed, either.
    apiEnv: { ORPHAN_CHECK_MS: '1000', FAILED_PAYLOAD_TTL_MS: '0', ...options.apiEnv },
    // Takeovers at the tests' pace.
    consumerEnv: {
      FAILED_PAYLOAD_TTL_MS: '0',
      ENGINES: '1',
      LOCK_MS: '2000',
      STALLED_CHECK_MS: '500',
      ...options.consumerEnv,
    },
  })
  const redis = openRedisView(system.redis.url)
  const ledger = await openLedger(system.redis.url)
  const verdict = async (): Promise<Verdict> => ledger.settle(() => system.url, 60_000)
  try {
    return await strike({
      system,
      redis,
      ledger,
      verdict,
      load(loadOptions = {}) {
        const ending = new AbortController()
        const counts = offerLoad({
          urls: () => system.apis.map(({ url }) => url),
          clients: 3,
          pauseMs: 100,
          ledger,
          signal: ending.signal,
          ...loadOptions,
        })
        return {
          async stop() {
            ending.abort()
            return counts
          },
        }
      },
      async probe() {
        const startedAt = performance.now()
        const response = await forms.raw(system.url, freshExample())
        const text = await response.text()
        if (response.status === 202) ledger.accept(jobResponseSchema.parse(JSON.parse(text)).id)
        return { status: response.status, ms: Math.round(performance.now() - startedAt) }
      },
      async finding(fault, counts, { figures = {}, held = true } = {}) {
        const judged = await verdict()
        const left = await settledLeftovers(redis, 'shapes-vqa', 20_000)
        const leftover = Object.entries(left).map(([kind, count]) => `${kind} ${count}`)
        return {
          fault,
          held: held && promiseHeld(judged) && leftover.length === 0,
          figures: {
            ...verdictFigures(judged),
            'sent again': counts.resent,
            'answered 503 or 429': counts.refused,
            'answered otherwise': counts.unexpected,
            'left in Redis': leftover.length === 0 ? 0 : leftover.join(', '),
            ...figures,
          },
        }
      },
    })
  } finally {
    ledger.close()
    redis.disconnect()
    await system.stop()
  }
}
