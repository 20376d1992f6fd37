import type { Composition } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'

import { connectionNames } from './redis-restart.ts'
import { type Finding, sleep } from './scenario.ts'
import { type UnderLoad, underLoad } from './under-load.ts'

/** Redis keeps its connections and answers nothing for a while, as a hung host does. */
export async function freezeRedis(frozenMs: number, composition?: Composition): Promise<Finding> {
  return underLoad({ composition }, async ({ system, redis, load, probe, finding }) => {
    const running = load()
    await sleep(1000)
    const before = await openThings({ redis })
    system.redis.freeze()
    const end = Date.now() + frozenMs
    const probes: { status: number; ms: number }[] = []
    while (Date.now() < end) probes.push(await probe())
    system.redis.thaw()
    const thawedAt = Date.now()
    await until(async () => (await probe()).status === 202, 'jobs are accepted again')
    const recoveredMs = Date.now() - thawedAt
    await sleep(500)
    const counts = await running.stop()
    const slowest = Math.max(...probes.map(({ ms }) => ms))
    // The last one may have been answered after the thaw.
    const answers = new Set(probes.slice(0, -1).map(({ status }) => status))
    const told = await finding(`Redis: frozen for ${frozenMs / 1000} s`, counts, {
      held: probes.length <= 1 || [...answers].join() === '503',
      figures: {
        'answered meanwhile': [...answers].join(', '),
        'slowest answer meanwhile, ms': slowest,
        'accepted again, ms after the thaw': recoveredMs,
      },
    })
    return withOpenThings(told, before, await openThings({ redis }))
  })
}

/** Every connection is cut at once, several times, and Redis stays. */
export async function cutConnections(times: number, composition?: Composition): Promise<Finding> {
  return underLoad({ apis: 2, composition }, async ({ redis, load, probe, finding }) => {
    const running = load()
    await sleep(1000)
    const before = await openThings({ redis })
    for (let time = 0; time < times; time += 1) {
      await Promise.all([
        redis.call('CLIENT', 'KILL', 'TYPE', 'normal'),
        redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      ])
      await sleep(400)
    }
    await until(async () => (await probe()).status === 202, 'jobs are accepted again')
    const counts = await running.stop()
    const told = await finding(`Redis: all connections cut, ${times} times`, counts)
    return withOpenThings(told, before, await openThings({ redis }))
  })
}

interface OpenThings {
  connections: string[]
  /** Channels of jobs that somebody waits for. */
  subscriptions: number
}

async function openThings({ redis }: Pick<UnderLoad, 'redis'>): Promise<OpenThings> {
  const channels = await redis.pubsub('CHANNELS', 'vq:changes:*')
  return { connections: (await connectionNames(redis)).toSorted(), subscriptions: channels.length }
}

function withOpenThings(finding: Finding, before: OpenThings, after: OpenThings): Finding {
  const same = before.connections.join() === after.connections.join() && after.subscriptions === 0
  return {
    ...finding,
    held: finding.held && same,
    figures: {
      ...finding.figures,
      'connections before': before.connections.length,
      'connections after': after.connections.length,
      'waits left': after.subscriptions,
    },
  }
}
