import { queuePrefix } from '@vision-queue/queue'
import { percentile } from '@vision-queue/load/statistics'
import { enginesOf } from '@vision-queue/test-support/engine-pids'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'

import { z } from 'zod'

import { openLedger, promiseHeld, verdictFigures } from './ledger.ts'
import { settledLeftovers } from './leftovers.ts'
import { offerLoad } from './load.ts'
import { createChance } from './random.ts'
import { openRedisView, type RedisView } from './redis-view.ts'
import { type Finding, type Scenario, type ScenarioOptions, sleep } from './scenario.ts'

const model = 'shapes-vqa'
const activeKey = `${queuePrefix(model)}:jobs:active`
/** The long form measures the takeover of a dead consumer's jobs by the default settings; the short one has no time. */
const consumerEnv = {
  short: { LOCK_MS: '1500', STALLED_CHECK_MS: '400' },
  long: {},
}

type Kind = 'engine' | 'api' | 'consumer'
/** As often as they die in the field, engines first; a consumer takes 3 s of both cores to come back. */
const weights = { engine: 75, api: 15, consumer: 10 }
/** The share of strikes that come before what was struck last is back. Were it all, little would ever be up. */
const hasty = 0.3
const longestWaitMs = 15_000

/** An attempt that was under way somewhere when a consumer was killed. */
interface Struck {
  id: string
  attempts: number
  killedAt: number
}

/** Kills at random under load; each process is started again at once, as an orchestrator would. */
export const kill: Scenario = {
  name: 'kill',
  title: 'random kill -9 of engines, consumers and APIs under load',
  async run(options) {
    const system = await startSystem({
      apis: 2,
      consumers: 2,
      // Nothing is to be left of a job that has failed, either.
      apiEnv: { ORPHAN_CHECK_MS: options.form === 'short' ? '1000' : '10000', FAILED_PAYLOAD_TTL_MS: '0' },
      // Its log tells when an engine is ready.
      consumerEnv: { LOG_LEVEL: 'info', FAILED_PAYLOAD_TTL_MS: '0', ENGINES: '1', ...consumerEnv[options.form] },
    })
    const redis = openRedisView(system.redis.url)
    const ledger = await openLedger(system.redis.url)
    try {
      return [await killUnderLoad({ ...options, system, redis, ledger })]
    } finally {
      ledger.close()
      redis.disconnect()
      await system.stop()
    }
  },
}

interface Setting extends ScenarioOptions {
  system: System
  redis: RedisView
  ledger: Awaited<ReturnType<typeof openLedger>>
}

async function killUnderLoad({ form, seed, minutes, say, system, redis, ledger }: Setting): Promise<Finding> {
  const apis = [...system.apis]
  const consumers = [...system.consumers]
  const chance = createChance(seed)
  const wanted = form === 'short' ? 6 : 1000
  const end = Date.now() + minutes * 60_000
  const kills: Record<Kind, number> = { engine: 0, api: 0, consumer: 0 }
  const engineKills: { at: number; consumer: RunningProcess }[] = []
  const struck: Struck[] = []
  const apiRecoveries: Promise<number>[] = []

  const stopLoad = new AbortController()
  const load = offerLoad({
    urls: () => apis.map(({ url }) => url),
    clients: form === 'short' ? 4 : 6,
    pauseMs: 150,
    ledger,
    signal: stopLoad.signal,
  })

  /** Resolves to when what died is back, and null where nobody was there to be killed. */
  const strike = async (kind: Kind): Promise<(() => Promise<unknown>) | null> => {
    switch (kind) {
      case 'engine': {
        const consumer = chance.pick(consumers)
        const engine = consumer === undefined ? undefined : chance.pick(enginesOf(consumer.pid))
        const at = Date.now()
        if (consumer === undefined || engine === undefined || !killPid(engine)) return null
        engineKills.push({ at, consumer })
        return async () => untilTrue(() => readyAfter(consumer, at).length > 0)
      }
      case 'api': {
        const index = Math.floor(chance.next() * apis.length)
        const [dead] = apis.slice(index, index + 1)
        if (dead === undefined) return null
        dead.signal('SIGKILL')
        const at = Date.now()
        await dead.exited
        const born = await system.addApi(Number(new URL(dead.url).port))
        apis[index] = born
        const back = untilAlive(born.url, born.exited).then((alive) => (alive ? Date.now() - at : NaN))
        apiRecoveries.push(back)
        return async () => back
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
      default:
        return kind satisfies never
    }
  }

  let done = 0
  // The short form strikes each kind, whatever its luck.
  const plan: Kind[] = form === 'short' ? ['engine', 'api', 'consumer'] : []
  while (done < wanted && Date.now() < end) {
    const kind = plan[done] ?? chance.weighted(weights)
    const isBack = await strike(kind)
    if (isBack !== null) {
      kills[kind] += 1
      done += 1
      if (done % 50 === 0) say(`${done} kills, ${ledger.ids.length} jobs accepted`)
      if (chance.next() >= hasty) await Promise.race([isBack(), sleep(longestWaitMs)])
    }
    await sleep(form === 'short' ? 250 : 100 + 400 * chance.next())
  }
  stopLoad.abort()
  const counts = await load
  const verdict = await ledger.settle(() => apis[0]?.url ?? '', 90_000)
  const left = await settledLeftovers(redis, model, 45_000)

  const engineMs = engineKills.flatMap(({ at, consumer }) => readyAfter(consumer, at))
  const consumerMs = takeovers(struck, verdict.attempts)
  const apiMs = (await Promise.all(apiRecoveries)).filter((value) => !Number.isNaN(value))
  const leftover = Object.entries(left).map(([kind, count]) => `${kind} ${count}`)
  return {
    fault: `${done} kills`,
    held: promiseHeld(verdict) && leftover.length === 0 && counts.unexpected === 0,
    figures: {
      'engines killed': kills.engine,
      'consumers killed': kills.consumer,
      'APIs killed': kills.api,
      ...verdictFigures(verdict),
      'sent again': counts.resent,
      'answered otherwise': counts.unexpected,
      'left in Redis': leftover.length === 0 ? 0 : leftover.join(', '),
      ...spread('engine ready again', engineMs),
      ...spread('jobs of a dead consumer taken over', consumerMs),
      ...spread('API answers again', apiMs),
    },
  }
}

function spread(what: string, milliseconds: readonly number[]): Record<string, number | string> {
  if (milliseconds.length === 0) return { [`${what}, ms`]: 'none seen' }
  const [half, most] = [percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)]
  return { [`${what}, ms`]: `p50 ${half}, p99 ${most} of ${milliseconds.length}` }
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
  const ids = await redis.lrange(activeKey, 0, -1)
  const attempts = await Promise.all(ids.map(async (id) => redis.hget(`${queuePrefix(model)}:jobs:${id}`, 'ats')))
  const killedAt = Date.now()
  return ids.map((id, index) => ({ id, attempts: Number(attempts[index] ?? 0), killedAt }))
}

/**
 * How long after a consumer's death the jobs that it held were taken by another. An attempt that was seen at
 * several deaths belongs to the first: attempts last some 100 ms, so one that is still there later is orphaned.
 */
function takeovers(struck: readonly Struck[], finals: Map<string, { attempts: number; startedAt: number }>): number[] {
  const first = new Map<string, number>()
  for (const { id, attempts, killedAt } of struck) {
    const final = finals.get(id)
    // Later attempts than the next one met another death: their starts tell nothing of this one.
    if (final?.attempts === attempts + 1 && !first.has(id)) first.set(id, final.startedAt - killedAt)
  }
  return [...first.values()]
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
