import { queuePrefix, readPlaces } from '@vision-queue/queue'
import { enginesOf } from '@vision-queue/test-support/engine-pids'
import type { RunningApi, RunningProcess, System } from '@vision-queue/test-support/system'

import { z } from 'zod'

import type { Chance } from './random.ts'
import type { RedisView } from './redis-view.ts'
import { sleep } from './scenario.ts'

/** What can be killed; a `server` is an API and a consumer in one process. */
export type Kind = 'engine' | 'api' | 'consumer' | 'server'

export const model = 'shapes-vqa'
/** What has died is not waited for any longer. */
export const longestWaitMs = 15_000

/** An attempt that was under way somewhere when a consumer was killed. */
interface Struck {
  id: string
  attempts: number
  killedAt: number
}

/** The processes of a system, each of which is started again when it was killed. */
export interface Victims {
  /** Where the APIs are now. */
  urls(): string[]
  /** Kills one. Resolves to how to wait until it is back; null where nobody was there to be killed. */
  strike(kind: Kind): Promise<(() => Promise<unknown>) | null>
  /** How long engines took to be ready again, in milliseconds, by their consumers' logs. */
  engineRecoveries(): number[]
  /** How long APIs took to answer again; of those that died before that, nothing. */
  apiRecoveries(): Promise<number[]>
  /**
   * How long after a consumer's death the jobs that it held were taken by another. An attempt that was under way at
   * several deaths ended by the last that can have been the one: while engines are away attempts last long, also those of
   * consumers that live, and nobody takes a job before half the time of its lock, which is renewed when half is over.
   */
  takeovers(finals: Map<string, { attempts: number; startedAt: number }>): number[]
}

export function createVictims({
  system,
  redis,
  chance,
  lockMs,
}: {
  system: System
  redis: RedisView
  chance: Chance
  /** LOCK_MS of the consumers. */
  lockMs: number
}): Victims {
  const apis = [...system.apis]
  const consumers = [...system.consumers]
  const engineKills: { at: number; consumer: RunningProcess }[] = []
  const struck: Struck[] = []
  const recoveries: Promise<number>[] = []

  const strikeEngine = (): (() => Promise<unknown>) | null => {
    const consumer = chance.pick(consumers)
    const engine = consumer === undefined ? undefined : chance.pick(enginesOf(consumer.pid))
    const at = Date.now()
    if (consumer === undefined || engine === undefined || !killPid(engine)) return null
    engineKills.push({ at, consumer })
    return async () => untilTrue(() => readyAfter(consumer, at).length > 0)
  }
  const replaceApi = async (
    index: number,
    add: (port: number) => Promise<RunningApi>,
  ): Promise<{ born: RunningApi; back: Promise<number> } | null> => {
    const [dead] = apis.slice(index, index + 1)
    if (dead === undefined) return null
    dead.signal('SIGKILL')
    const at = Date.now()
    await dead.exited
    const born = await add(Number(new URL(dead.url).port))
    apis[index] = born
    const back = untilAlive(born.url, born.exited).then((alive) => (alive ? Date.now() - at : NaN))
    recoveries.push(back)
    return { born, back }
  }

  return {
    urls: () => apis.map(({ url }) => url),
    async strike(kind) {
      switch (kind) {
        case 'engine':
          return strikeEngine()
        case 'api': {
          const replaced = await replaceApi(Math.floor(chance.next() * apis.length), system.addApi)
          return replaced === null ? null : async () => replaced.back
        }
        case 'consumer': {
          const index = Math.floor(chance.next() * consumers.length)
          const [dead] = consumers.slice(index, index + 1)
          if (dead === undefined) return null
          struck.push(...(await activeAttempts(redis)))
          dead.signal('SIGKILL')
          const born = await system.addConsumer()
          consumers[index] = born
          return async () => untilTrue(() => readyAfter(born, 0).length > 0)
        }
        case 'server': {
          // The two lists have the same processes, in the same order.
          const index = Math.floor(chance.next() * apis.length)
          struck.push(...(await activeAttempts(redis)))
          const replaced = await replaceApi(index, system.addServer)
          if (replaced === null) return null
          consumers[index] = replaced.born
          return async () => untilTrue(() => readyAfter(replaced.born, 0).length > 0)
        }
        default:
          return kind satisfies never
      }
    },
    engineRecoveries: () => engineKills.flatMap(({ at, consumer }) => readyAfter(consumer, at)),
    apiRecoveries: async () => (await Promise.all(recoveries)).filter((value) => !Number.isNaN(value)),
    takeovers(finals) {
      const took = new Map<string, number>()
      for (const { id, attempts, killedAt } of struck) {
        const final = finals.get(id)
        // Later attempts than the next one met another death: their starts tell nothing of this one.
        if (final?.attempts !== attempts + 1) continue
        const tookMs = final.startedAt - killedAt
        if (tookMs >= lockMs / 2) took.set(id, tookMs)
      }
      return [...took.values()]
    },
  }
}

function killPid(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself since it was found.
    return false
  }
}

/** The attempts under way, wherever they run. */
async function activeAttempts(redis: RedisView): Promise<Struck[]> {
  const places = await readPlaces(redis, model)
  const queues = places.map((place) => `${queuePrefix(place)}:jobs`)
  const active = await Promise.all(
    queues.map(async (queue) => {
      const ids = await redis.lrange(`${queue}:active`, 0, -1)
      return Promise.all(
        ids.map(async (id) => ({ id, attempts: Number((await redis.hget(`${queue}:${id}`, 'ats')) ?? 0) })),
      )
    }),
  )
  const killedAt = Date.now()
  return active.flat().map(({ id, attempts }) => ({ id, attempts, killedAt }))
}

const readyLineSchema = z.object({ msg: z.literal('an engine is ready'), time: z.number(), pid: z.number() })

/** When the consumer's next engine was ready after `at`, by its log; nothing where it died before. */
function readyAfter(consumer: RunningProcess, at: number): number[] {
  for (const line of consumer.output().split('\n')) {
    if (!line.includes('an engine is ready')) continue
    try {
      const { time } = readyLineSchema.parse(JSON.parse(line))
      if (time > at) return [time - at]
    } catch {
      // The oldest line may be cut.
    }
  }
  return []
}

async function untilTrue(met: () => boolean): Promise<void> {
  const end = Date.now() + longestWaitMs
  while (!met() && Date.now() < end) await sleep(50)
}

async function untilAlive(url: string, exited: Promise<unknown>): Promise<boolean> {
  const ended = exited.then(() => true)
  while (!(await Promise.race([ended, sleep(20).then(() => false)]))) {
    if ((await fetch(`${url}/health/live`).catch(() => null))?.ok === true) return true
  }
  return false
}
