import { Queue, Worker, createRedisBackend, type BackendFactory, type RedisQueueBackend } from 'bullmq'
import { Redis } from 'ioredis'

import { batchingBackend } from './src/index.ts'

/**
 * What a job costs with BullMQ's own backend and with this one, in turn, in one process beside a Redis:
 * node --import tsx packages/bullmq-batching/bench.ts [redis://...] [rounds]
 * Give it a Redis of its own: it is emptied. CPU is this process' user and system time, and Redis' own.
 */
const [url = 'redis://127.0.0.1:6379', rounds = '5'] = process.argv.slice(2)
const redis = new Redis(url, { maxRetriesPerRequest: null })

interface Cost {
  wallUs: number
  nodeUs: number
  redisUs: number
  commands: number
}

interface Load {
  name: string
  jobs: number
  inFlight: number
  /** Jobs a second; null: as fast as they are done. */
  rate: number | null
}

const loads: Load[] = [
  { name: '64 in flight', jobs: 12_000, inFlight: 64, rate: null },
  { name: '8 in flight', jobs: 6000, inFlight: 8, rate: null },
  { name: '250 a second', jobs: 750, inFlight: 64, rate: 250 },
  { name: '20 a second', jobs: 60, inFlight: 64, rate: 20 },
]

const sleep = async (ms: number): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

async function redisCost(): Promise<{ us: number; commands: number }> {
  const cpu = await redis.info('cpu')
  const seconds = [/used_cpu_user:([\d.]+)/, /used_cpu_sys:([\d.]+)/].map((field) => Number(field.exec(cpu)?.[1]))
  const stats = await redis.info('commandstats')
  const commands = [...stats.matchAll(/^cmdstat_(?!info)[^:]+:calls=(\d+)/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  )
  return { us: seconds.reduce((sum, part) => sum + part, 0) * 1e6, commands }
}

/** Adds jobs one by one and waits until each is done, so many at once. */
async function run(factory: BackendFactory<RedisQueueBackend>, load: Load): Promise<Cost> {
  await redis.flushall()
  const connect = (): Redis => new Redis(url, { maxRetriesPerRequest: null })
  const connections = [connect(), connect()] as const
  const queue = new Queue('bench', { connection: connections[0] }, factory)
  const waiting = new Map<number, () => void>()
  const worker = new Worker(
    'bench',
    async ({ data }) => {
      waiting.get(data.i)?.()
      return data.i
    },
    { connection: connections[1], concurrency: 64 },
    factory,
  )
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
  const job = async (i: number): Promise<void> => {
    const done = new Promise<void>((resolve) => waiting.set(i, resolve))
    await queue.add('job', { i, text: 'x'.repeat(200) }, { removeOnComplete: true })
    await done
    waiting.delete(i)
  }
  const drive = async (jobs: number): Promise<void> => {
    let next = 0
    if (load.rate !== null) {
      const all: Promise<void>[] = []
      const start = performance.now()
      while (next < jobs) {
        await sleep(Math.max(0, start + (next * 1000) / load.rate - performance.now()))
        all.push(job(next++))
      }
      await Promise.all(all)
      return
    }
    const client = async (): Promise<void> => {
      while (next < jobs) await job(next++)
    }
    await Promise.all(Array.from({ length: load.inFlight }, client))
  }
  await drive(Math.min(load.jobs, load.rate ?? 2000))
  const before = { redis: await redisCost(), node: process.cpuUsage(), at: performance.now() }
  await drive(load.jobs)
  const node = process.cpuUsage(before.node)
  const wallUs = (performance.now() - before.at) * 1000
  const after = await redisCost()
  await worker.close()
  await queue.close()
  for (const connection of connections) connection.disconnect()
  return {
    wallUs: wallUs / load.jobs,
    nodeUs: (node.user + node.system) / load.jobs,
    redisUs: (after.us - before.redis.us) / load.jobs,
    commands: (after.commands - before.redis.commands) / load.jobs,
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const backends = { bullmq: createRedisBackend, batching: batchingBackend() } as const
console.log('load | what | BullMQ | batching | batching / BullMQ, each round side by side: median (all)')
for (const load of loads) {
  const costs: Record<keyof typeof backends, Cost[]> = { bullmq: [], batching: [] }
  for (let round = 0; round < Number(rounds); round += 1) {
    const order = round % 2 === 0 ? (['bullmq', 'batching'] as const) : (['batching', 'bullmq'] as const)
    for (const kind of order) costs[kind].push(await run(backends[kind], load))
  }
  for (const what of ['nodeUs', 'redisUs', 'wallUs', 'commands'] as const) {
    if (what === 'wallUs' && load.rate !== null) continue
    const [theirs, ours] = [costs.bullmq, costs.batching].map((list) => list.map((cost) => cost[what]))
    const ratios = (ours ?? []).map((value, index) => value / (theirs?.[index] ?? Number.NaN))
    const show = (value: number): string => value.toFixed(value < 10 ? 2 : 0)
    console.log(
      `${load.name} | ${what} a job | ${show(median(theirs ?? []))} | ${show(median(ours ?? []))} | ` +
        `${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`,
    )
  }
}
redis.disconnect()
