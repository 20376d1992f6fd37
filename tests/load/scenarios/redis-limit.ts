import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { startTestRedis } from '@vision-queue/test-support/redis'
import { until } from '@vision-queue/test-support/until'

import { askRedis } from '../ask-redis.ts'
import { cpuTime } from '../processes.ts'
import { type TrafficOptions, trafficReportSchema } from '../queue-traffic.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'

const consumerCounts = [1, 64]
const seconds = 4

interface Traffic {
  consumers: number
  perSecond: number
  redisUs: number
  redisCoreShare: number
  producerUs: number
  consumerUs: number
  connections: number
  commandsPerJob: number
}

/** How much queue traffic one Redis bears. */
export const redisLimit: Scenario = {
  name: 'redis-limit',
  title: 'Where Redis is the limit',
  usual: true,
  async run({ say }) {
    const measured: Traffic[] = []
    for (const consumers of consumerCounts) {
      const traffic = await measureTraffic(consumers)
      measured.push(traffic)
      say(
        `${consumers} consumers: ${traffic.perSecond.toFixed(0)} jobs/s, Redis ${traffic.redisUs.toFixed(0)} us a job, ${(traffic.redisCoreShare * 100).toFixed(0)} % of its core`,
      )
    }
    const largest = measured.at(-1)
    const limit = 1e6 / (largest?.redisUs ?? Number.NaN)
    return {
      notes: [
        'Producers and consumers of queue traffic alone, straight on the transport: admission, picture (2 KB), queue, lock, reading, result, publication; no HTTP, no decoding, no model. 64 consumers are 64 sources of 16 jobs each with connections of their own, in one process of this machine.',
        `With ${largest?.consumers ?? 0} consumers Redis spends ${(largest?.redisUs ?? 0).toFixed(0)} us of its one thread on a job, so its core is full at about ${limit.toFixed(0)} jobs/s: computed from the CPU time, since on few cores the traffic's own processes leave Redis less than a core (the share that it had is in the table). Pictures cost on top what their bytes take.`,
        'Beyond that rate Redis is no place to tune but one to divide: every key of a model carries the hash tag {model}, so models spread over the nodes of a Redis Cluster or over several Redis servers, each of which bears that rate. One model that alone needs more is served under several names, each with its queue.',
      ],
      tables: [
        table(
          'Queue traffic',
          [
            'consumers',
            'connections',
            'jobs/s',
            ['Redis us a job', 0],
            'Redis, % of a core',
            'Redis’ core is full at jobs/s',
            'commands a job',
            'producer us a job',
            'consumer us a job',
          ],
          measured.map((traffic) => [
            traffic.consumers,
            traffic.connections,
            traffic.perSecond,
            traffic.redisUs,
            traffic.redisCoreShare * 100,
            1e6 / traffic.redisUs,
            traffic.commandsPerJob,
            traffic.producerUs,
            traffic.consumerUs,
          ]),
        ),
      ],
      facts: { 'Redis us': largest?.redisUs ?? 0, 'jobs/s at a full core': limit },
    }
  },
}

async function measureTraffic(consumers: number): Promise<Traffic> {
  const redis = await startTestRedis()
  const children: ChildProcess[] = []
  let running = true
  const start = (options: Omit<TrafficOptions, 'redisUrl' | 'imageBytes'>): { pid: number; done: () => number } => {
    const script = fileURLToPath(new URL('../queue-traffic-process.ts', import.meta.url))
    const argument = JSON.stringify({ redisUrl: redis.url, imageBytes: 2000, ...options } satisfies TrafficOptions)
    const child = fork(script, [argument], { execArgv: ['--import', 'tsx'] })
    child.once('exit', () => {
      running = false
    })
    children.push(child)
    let done = 0
    child.on('message', (message) => {
      done = trafficReportSchema.parse(message).done
    })
    return { pid: child.pid ?? 0, done: () => done }
  }
  const commands = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(await askRedis(redis.url, 'INFO stats'))?.[1])
  const cpuSeconds = (pid: number): number => cpuTime(pid).user + cpuTime(pid).system
  try {
    const consumer = start({ kind: 'consume', count: consumers, perSource: 16 })
    const producer = start({ kind: 'produce', count: 256, perSource: 1 })
    const look = async () => ({
      at: performance.now(),
      jobs: consumer.done(),
      redis: cpuSeconds(redis.pid),
      producer: cpuSeconds(producer.pid),
      consumer: cpuSeconds(consumer.pid),
      commands: await commands(),
    })
    // Until the code is compiled and all connections stand.
    await until(() => {
      if (!running) throw new Error('A process of queue traffic ended, see above')
      return consumer.done() > 1000
    }, 'queue traffic flows')
    await sleep(1500)
    const before = await look()
    await sleep(seconds * 1000)
    const after = await look()
    const jobs = after.jobs - before.jobs
    const connections = Number(/connected_clients:(\d+)/.exec(await askRedis(redis.url, 'INFO clients'))?.[1])
    return {
      consumers,
      connections,
      perSecond: (jobs / (after.at - before.at)) * 1000,
      redisUs: ((after.redis - before.redis) / jobs) * 1e6,
      redisCoreShare: ((after.redis - before.redis) / (after.at - before.at)) * 1000,
      producerUs: ((after.producer - before.producer) / jobs) * 1e6,
      consumerUs: ((after.consumer - before.consumer) / jobs) * 1e6,
      commandsPerJob: (after.commands - before.commands) / jobs,
    }
  } finally {
    for (const child of children) {
      if (child.exitCode !== null) continue
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    await redis.stop()
  }
}
