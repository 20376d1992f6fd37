import type { Composition } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'

import { type Finding, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

/** Redis' memory is full: nothing new is taken, what runs is finished, and all goes on when there is room again. */
export async function fillMemory(fullMs: number, composition?: Composition): Promise<Finding> {
  return underLoad({ composition }, async ({ redis, ledger, load, probe, finding }) => {
    const running = load({ clients: 8, pauseMs: 0 })
    await sleep(1500)
    await redis.config('SET', 'maxmemory', '1')
    const acceptedAt = ledger.ids.length
    await sleep(300)
    const first = await probe()
    // Whatever was accepted on the way is on the books by now.
    const accepted = ledger.ids.length
    await sleep(fullMs)
    const last = await probe()
    const acceptedMeanwhile = ledger.ids.length - accepted
    const stored = await resultsStored(redis, ledger.ids)
    await redis.config('SET', 'maxmemory', '0')
    const freedAt = Date.now()
    await until(async () => (await probe()).status === 202, 'jobs are accepted again')
    const recoveredMs = Date.now() - freedAt
    const counts = await running.stop()
    void acceptedAt
    return finding(`Redis: memory full for ${fullMs / 1000} s`, counts, {
      held: first.status === 503 && last.status === 503 && acceptedMeanwhile === 0,
      figures: {
        'answered meanwhile': [...new Set([first.status, last.status])].join(', '),
        'accepted meanwhile': acceptedMeanwhile,
        'accepted before, final while it was full': `${stored} of ${accepted}`,
        'accepted again, ms after there was room': recoveredMs,
      },
    })
  })
}

async function resultsStored(
  redis: { exists(...keys: string[]): Promise<number> },
  ids: readonly string[],
): Promise<number> {
  return ids.length === 0 ? 0 : redis.exists(...ids.map((id) => `vq:result:${id}`))
}

/** Redis may forget what it is given: consumers refuse to start, and the API isn't ready. */
export async function evictingPolicy(composition?: Composition): Promise<Finding> {
  return underLoad({ composition }, async ({ system, redis, finding }) => {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const refused = await (system.composition === 'one' ? system.addServer() : system.addConsumer())
    const { code } = await refused.exited
    const says = refused.output()
    await until(async () => (await fetch(`${system.url}/health/ready`)).status === 503, 'the API is not ready').catch(
      () => {},
    )
    const ready = await fetch(`${system.url}/health/ready`)
    const body = await ready.text()
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    const consumerSays = code === 1 && says.includes('maxmemory-policy allkeys-lru')
    const apiSays = ready.status === 503 && body.includes('noeviction')
    return finding(
      'Redis: evicts keys (allkeys-lru)',
      { resent: 0, broken: 0, refused: 0, unexpected: 0 },
      {
        held: consumerSays && apiSays,
        figures: {
          'consumer refuses to start and says why': consumerSays ? 1 : 0,
          'API is not ready and says why': apiSays ? 1 : 0,
        },
      },
    )
  })
}
