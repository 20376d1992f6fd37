import { percentile } from '@vision-queue/load/statistics'
import { queueName, queuePrefix, readPlaces } from '@vision-queue/queue'
import { type Composition, startSystem, type System } from '@vision-queue/test-support/system'

import { openLedger, promiseHeld, verdictFigures } from './ledger.ts'
import { settledLeftovers } from './leftovers.ts'
import { offerLoad } from './load.ts'
import { createChance } from './random.ts'
import { openRedisView, type RedisView } from './redis-view.ts'
import { type Finding, type Scenario, type ScenarioOptions, sleep } from './scenario.ts'
import { createVictims, type Kind, longestWaitMs, model } from './victims.ts'

/** The long form measures the takeover of a dead consumer's jobs by the default settings; the short one has no time. */
const consumerEnv = {
  short: { LOCK_MS: '1500', STALLED_CHECK_MS: '400' },
  long: {},
}
const lockMs = { short: 1500, long: 6000 }

/** As often as they die in the field, engines first; a consumer takes 3 s of both cores to come back. */
const weights: Record<Composition, Partial<Record<Kind, number>>> = {
  apart: { engine: 75, api: 15, consumer: 10 },
  one: { engine: 75, server: 25 },
}
/** The short form strikes each kind, whatever its luck. */
const shortPlan: Record<Composition, Kind[]> = {
  apart: ['engine', 'api', 'consumer'],
  one: ['engine', 'server', 'server'],
}
const names = { engine: 'engines', api: 'APIs', consumer: 'consumers', server: 'APIs with their consumers' }
/** The share of strikes that come before what was struck last is back. Were it all, little would ever be up. */
const hasty = 0.3

/** Kills at random under load; each process is started again at once, as an orchestrator would. */
export const kill: Scenario = {
  name: 'kill',
  title: 'random kill -9 of engines, consumers and APIs under load',
  async run(options) {
    const { queueParts = 1 } = options
    const system = await startSystem({
      apis: 2,
      consumers: 2,
      composition: options.composition,
      // Nothing is to be left of a job that has failed, either.
      apiEnv: { ORPHAN_CHECK_MS: options.form === 'short' ? '1000' : '10000', FAILED_PAYLOAD_TTL_MS: '0' },
      // Its log tells when an engine is ready.
      consumerEnv: {
        LOG_LEVEL: 'info',
        FAILED_PAYLOAD_TTL_MS: '0',
        ENGINES: '1',
        QUEUE_PARTS: String(queueParts),
        ...consumerEnv[options.form],
      },
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

async function killUnderLoad({
  form,
  seed,
  minutes,
  kills: asked,
  say,
  system,
  redis,
  ledger,
}: Setting): Promise<Finding> {
  const { composition } = system
  const chance = createChance(seed)
  const victims = createVictims({ system, redis, chance, lockMs: lockMs[form] })
  // A server takes the longest to come back.
  const wanted = asked ?? (form === 'long' ? 1000 : composition === 'one' ? 4 : 6)
  const end = Date.now() + minutes * 60_000
  const kills = new Map<Kind, number>()

  const stopLoad = new AbortController()
  const load = offerLoad({
    urls: victims.urls,
    clients: form === 'short' ? 4 : 6,
    pauseMs: 150,
    ledger,
    signal: stopLoad.signal,
  })

  const pauses = watchPauses()
  let done = 0
  const plan = form === 'short' ? shortPlan[composition] : []
  while (done < wanted && Date.now() < end) {
    const kind = plan[done] ?? chance.weighted(weights[composition])
    const isBack = await victims.strike(kind)
    if (isBack !== null) {
      kills.set(kind, (kills.get(kind) ?? 0) + 1)
      done += 1
      if (done % 50 === 0) say(`${done} kills, ${ledger.ids.length} jobs accepted`)
      if (chance.next() >= hasty) await Promise.race([isBack(), sleep(longestWaitMs)])
    }
    await sleep(form === 'short' ? 250 : 100 + 400 * chance.next())
  }
  stopLoad.abort()
  const counts = await load
  const longestPauseMs = pauses.stop()
  const verdict = await ledger.settle(() => victims.urls()[0] ?? '', 90_000)
  const left = await settledLeftovers(redis, model, 45_000)
  const leftover = Object.entries(left).map(([kind, count]) => `${kind} ${count}`)
  return {
    fault: `${done} kills`,
    held: promiseHeld(verdict) && leftover.length === 0 && counts.unexpected === 0,
    figures: {
      ...Object.fromEntries([...kills].map(([kind, count]) => [`${names[kind]} killed`, count])),
      ...verdictFigures(verdict),
      'sent again': counts.resent,
      'answered otherwise': counts.unexpected,
      'parts with jobs': await usedParts(redis),
      'left in Redis': leftover.length === 0 ? 0 : leftover.join(', '),
      'longest pause of the machine, ms': longestPauseMs,
      ...spread('engine ready again', victims.engineRecoveries()),
      ...spread('jobs of a dead consumer taken over', victims.takeovers(verdict.attempts)),
      ...spread('API answers again', await victims.apiRecoveries()),
    },
  }
}

/**
 * For how long this process, which does next to nothing, was not run: no system on the same machine was faster than
 * that.
 */
function watchPauses(): { stop(): number } {
  const everyMs = 50
  let [last, longest] = [Date.now(), 0]
  const timer = setInterval(() => {
    const now = Date.now()
    longest = Math.max(longest, now - last - everyMs)
    last = now
  }, everyMs)
  return {
    stop() {
      clearInterval(timer)
      return longest
    },
  }
}

/** How many parts of the queue have had a job: BullMQ numbers those of each. */
async function usedParts(redis: RedisView): Promise<number> {
  const places = await readPlaces(redis, model)
  const numbers = await Promise.all(places.map(async (place) => redis.get(`${queuePrefix(place)}:${queueName}:id`)))
  return numbers.filter((number) => number !== null).length
}

function spread(what: string, milliseconds: readonly number[]): Record<string, number | string> {
  if (milliseconds.length === 0) return { [`${what}, ms`]: 'none seen' }
  const [half, most] = [percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)]
  return { [`${what}, ms`]: `p50 ${half}, p99 ${most} of ${milliseconds.length}` }
}
