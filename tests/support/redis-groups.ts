import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '@vision-queue/local/free-port'
import { type RunningRedis, startRedis } from '@vision-queue/local/redis-server'

import { findRedisUnderTest } from './redis-under-test.ts'
import type { TestRedis } from './redis.ts'
import { until } from './until.ts'

/** Several Redis processes that are one to their clients; `freeze`, `thaw` and `kill` mean all of them. */
export interface TestRedisGroup extends TestRedis {
  members: RunningRedis[]
}

export interface TestSentinel extends TestRedisGroup {
  /** The port of the primary as the Sentinel tells it. */
  primaryPort(): Promise<number>
}

/** Why groups can't be started here, or null: in Docker the members would not reach each other on loopback. */
export async function whyNoRedisGroups(): Promise<string | null> {
  const { kind } = await findRedisUnderTest()
  return kind === 'docker' ? 'The Redis found runs in Docker, where several can not form a group on loopback' : null
}

/** The first slot of each node of a test Cluster. */
export const slotStarts = [0, 5461, 10_923] as const

/** Three nodes on loopback, a third of the slots each, without replicas. `url` is redis+cluster://. */
export async function startTestCluster(): Promise<TestRedisGroup> {
  return startGroup(async (start) => {
    // The usual bus port, 10000 above the other, may lie beyond the last one.
    const busPorts = await Promise.all(slotStarts.map(freePort))
    const nodes = await Promise.all(
      busPorts.map(async (busPort) => start(['--cluster-enabled', 'yes', '--cluster-port', String(busPort)])),
    )
    for (const [index, { port }] of nodes.entries()) {
      const [from = 0, before = 16_384] = slotStarts.slice(index)
      await ask(port, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(before - 1))
      // Without it two nodes may draw the same number and need a while to find out.
      await ask(port, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
      if (index > 0)
        await ask(nodes[0]?.port ?? 0, 'CLUSTER', 'MEET', '127.0.0.1', String(port), String(busPorts[index]))
    }
    const agrees = async ({ port }: RunningRedis): Promise<boolean> => {
      const info = await ask(port, 'CLUSTER', 'INFO')
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`)
    }
    await until(async () => (await Promise.all(nodes.map(agrees))).every(Boolean), 'the Cluster is formed')
    return { members: nodes, url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}` }
  })
}

/**
 * A primary, its replica and a Sentinel on loopback, in this order; the Sentinel gives the primary up after a
 * second of silence. `url` is redis+sentinel://.
 */
export async function startTestSentinel(): Promise<TestSentinel> {
  const name = 'mymaster'
  const group = await startGroup(async (start, folder) => {
    const primary = await start(['--repl-diskless-sync-delay', '0'])
    const replica = await start(['--replicaof', `127.0.0.1 ${primary.port}`])
    await until(
      async () => (await ask(replica.port, 'INFO', 'replication')).includes('link_status:up'),
      'a replica syncs',
    )
    const file = join(folder, 'sentinel.conf')
    const settings = [
      `monitor ${name} 127.0.0.1 ${primary.port} 1`,
      `down-after-milliseconds ${name} 1000`,
      `failover-timeout ${name} 5000`,
    ]
    await writeFile(file, settings.map((line) => `sentinel ${line}\n`).join(''))
    const sentinel = await start([file, '--sentinel'])
    const knows = async (): Promise<boolean> =>
      (await ask(sentinel.port, 'SENTINEL', 'replicas', name)).includes(String(replica.port))
    await until(knows, 'the Sentinel knows the replica')
    return { members: [primary, replica, sentinel], url: `redis+sentinel://127.0.0.1:${sentinel.port}/${name}` }
  })
  const sentinel = group.members.at(-1)
  return {
    ...group,
    async primaryPort() {
      const reply = await ask(sentinel?.port ?? 0, 'SENTINEL', 'get-master-addr-by-name', name)
      return Number(/\r\n(\d+)\r\n$/.exec(reply)?.[1] ?? 0)
    },
  }
}

type Start = (extra: string[]) => Promise<RunningRedis>

async function startGroup(
  form: (start: Start, folder: string) => Promise<{ members: RunningRedis[]; url: string }>,
): Promise<TestRedisGroup> {
  const server = await findRedisUnderTest()
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-redis-group-'))
  const started: RunningRedis[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(started.map(async (member) => member.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const { members, url } = await form(async (extra) => {
      const own = await mkdtemp(join(folder, 'member-'))
      const member = await startRedis({ server, folder: own, persistent: false, extra, env: process.env })
      started.push(member)
      return member
    }, folder)
    const signalAll = (name: NodeJS.Signals) => (): void => {
      for (const { signal } of members) signal(name)
    }
    return {
      url,
      members,
      pid: members[0]?.pid ?? 0,
      freeze: signalAll('SIGSTOP'),
      thaw: signalAll('SIGCONT'),
      kill: signalAll('SIGKILL'),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** One command to a Redis on loopback, and its reply as it comes over the wire; written to a socket, as ioredis belongs to packages/redis. */
export async function ask(port: number, ...words: string[]): Promise<string> {
  const command = `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
  return new Promise((resolve, reject) => {
    let reply = ''
    // Redis answers what it has got and closes as we do; a Sentinel knows no QUIT.
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.end(command))
    socket.setEncoding('utf8').on('data', (text: string) => {
      reply += text
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (reply.startsWith('-')) reject(new Error(`${words.join(' ')}: ${reply.trim()}`))
      else resolve(reply)
    })
  })
}
