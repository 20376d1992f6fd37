import { cutConnections, freezeRedis } from './redis-silence.ts'
import { evictingPolicy, fillMemory } from './redis-pressure.ts'
import { restartRedis, type RestartFault } from './redis-restart.ts'
import type { Finding, Scenario } from './scenario.ts'

const restarts: RestartFault[] = (['everysec', 'always'] as const).flatMap((appendFsync) =>
  (['SIGTERM', 'SIGKILL', 'power'] as const).map((end) => ({ appendFsync, end })),
)

/** Everything that can be wrong with Redis, one after the other, each with a system of its own. */
export const redisFaults: Scenario = {
  name: 'redis',
  title: 'Redis restarted, frozen, cut off, full and evicting, under load',
  async run({ say, composition }) {
    const faults: (() => Promise<Finding>)[] = [
      ...restarts.map((fault) => async () => restartRedis(fault, 3000, composition)),
      async () => freezeRedis(10_000, composition),
      async () => cutConnections(5, composition),
      async () => fillMemory(5000, composition),
      async () => evictingPolicy(composition),
    ]
    const findings: Finding[] = []
    for (const strike of faults) {
      const finding = await strike()
      say(`${finding.fault}: ${finding.held ? 'held' : 'broken'}`)
      findings.push(finding)
    }
    return findings
  },
}
