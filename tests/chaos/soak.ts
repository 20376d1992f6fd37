import { admittedKey, readPlaces } from '@vision-queue/queue'
import { enginesOf } from '@vision-queue/test-support/engine-pids'
import type { RunningProcess } from '@vision-queue/test-support/system'

import { takeCensus } from './leftovers.ts'
import { growthPerMinute, type Holding, holdingOf } from './processes.ts'
import type { RedisView } from './redis-view.ts'
import { type Finding, type Scenario, type ScenarioOptions, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

const mebibyte = 2 ** 20
/** Results expire during the run, so that their number can become flat; the same for remembered answers. */
const resultTtlMs = 20_000

/** At steady load for a long time, nothing grows. */
export const soak: Scenario = {
  name: 'soak',
  title: 'steady load at 70 % of what the machine can do, for minutes',
  async run(options) {
    return [await soakAt(options)]
  },
}

async function soakAt({ form, minutes, say, composition }: ScenarioOptions): Promise<Finding> {
  const consumerEnv = { RESULT_TTL_MS: String(form === 'short' ? 2000 : resultTtlMs) }
  return underLoad({ consumerEnv, composition }, async (setting) => {
    const { system, redis, ledger, load } = setting
    // As fast as these clients can go for a moment; then seven tenths of that.
    const clients = 8
    const fullFor = form === 'short' ? 1500 : 15_000
    const full = load({ clients, pauseMs: 0 })
    await sleep(fullFor)
    await full.stop()
    const before = ledger.ids.length
    const perSecond = before / (fullFor / 1000)
    const pauseMs = (clients / (0.7 * perSecond)) * 1000
    say(`${perSecond.toFixed(0)} jobs/s accepted at full speed`)
    await drained(redis)

    const [api] = system.apis
    const [consumer] = system.consumers
    const watched = { api, consumer }
    const samples = new Map<string, { at: number; value: number }[]>()
    const startedAt = Date.now()
    const steady = load({ clients, pauseMs })
    const end = startedAt + (form === 'short' ? 3000 : minutes * 60_000)
    // What a process takes when it gets going is no leak.
    const settledAt = startedAt + (end - startedAt) / 4
    while (Date.now() < end) {
      await sleep(form === 'short' ? 300 : 5000)
      if (Date.now() < settledAt) continue
      for (const [name, value] of await measure(watched, redis, system.redis.pid)) {
        const known = samples.get(name) ?? []
        known.push({ at: Date.now(), value })
        samples.set(name, known)
      }
    }
    const counts = await steady.stop()
    const jobs = ledger.ids.length - before
    const census = await takeCensus(redis)
    await drained(redis)
    const growth = [...samples].map(([name, values]): [string, number, number] => [
      name,
      growthPerMinute(values),
      values.reduce((sum, { value }) => sum + value, 0) / values.length,
    ])
    // Over the long run: a hundredth of its size per minute would be seen in hours; a short one only jitters.
    const flat = form === 'short' || growth.every(([, slope, mean]) => slope < Math.max(0.01 * mean, 0.2))
    const figures = Object.fromEntries(
      growth.map(([name, slope, mean]) => [`${name} (mean, growth a minute)`, `${tidy(mean)}, ${tidy(slope)}`]),
    )
    return {
      fault: `${jobs} jobs at ${(jobs / ((Date.now() - startedAt) / 1000)).toFixed(0)} jobs/s for ${((end - startedAt) / 60_000).toFixed(1)} minutes`,
      held: flat && census.unknown.length === 0 && census.immortal.length === 0 && counts.unexpected === 0,
      figures: {
        jobs,
        'answered otherwise': counts.unexpected,
        'keys of no known kind': census.unknown.length,
        'keys without their expiry': census.immortal.length,
        ...figures,
      },
    }
  })
}

async function measure(
  { api, consumer }: Record<'api' | 'consumer', RunningProcess | undefined>,
  redis: RedisView,
  redisPid: number,
): Promise<[string, number][]> {
  const of = (name: string, { rssBytes, descriptors }: Holding): [string, number][] => [
    [`${name} MiB`, rssBytes / mebibyte],
    [`${name} descriptors`, descriptors],
  ]
  const [engine] = enginesOf(consumer?.pid ?? 0)
  const used = /^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]
  return [
    ...(api?.pid === consumer?.pid
      ? of('API and consumer', holdingOf(api?.pid ?? 0))
      : [...of('API', holdingOf(api?.pid ?? 0)), ...of('consumer', holdingOf(consumer?.pid ?? 0))]),
    ...(engine === undefined ? [] : of('engine', holdingOf(engine))),
    ...of('Redis', holdingOf(redisPid)),
    ['Redis used MiB', Number(used ?? 0) / mebibyte],
    ['Redis keys', await redis.dbsize()],
  ]
}

/** Waits until no job is admitted. */
async function drained(redis: RedisView): Promise<void> {
  const places = await readPlaces(redis, 'shapes-vqa')
  const admitted = async (): Promise<number[]> =>
    Promise.all(places.map(async (place) => redis.zcard(admittedKey(place))))
  while ((await admitted()).some((count) => count > 0)) await sleep(200)
}

function tidy(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : 0)
}
