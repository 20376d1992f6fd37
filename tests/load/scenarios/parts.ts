import { whyNoRedisGroups } from '@vision-queue/test-support/redis-groups'

import type { Scenario } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { subjectTable, windowNote } from '../subject-table.ts'
import { openQueueTraffic } from '../subjects/queue-traffic.ts'
import type { Subject } from '../subjects/subject.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { lowerQuartile, windowsOf } from '../windows/rounds.ts'
import type { Window } from '../windows/window.ts'

/** What one Redis bears, and what two do. */
export const parts: Scenario = {
  name: 'parts',
  title: 'Where Redis is the limit, and past it',
  usual: true,
  async run({ say, plan }) {
    const subjects: Subject[] = []
    try {
      for (const servers of [1, 2]) {
        const name = servers === 1 ? 'one Redis' : `${servers} Redis servers`
        const subject = await openQueueTraffic({ name, servers })
        subjects.push(subject)
        await warmUp(subject, plan.warmUpJobs)
      }
      // Two parts of this model's queue, and three, lie on different nodes of the Cluster.
      const onClusters = (await whyNoRedisGroups()) === null ? clusterParts : []
      for (const queueParts of onClusters) {
        const name = `Cluster, ${queueParts === 1 ? 'one part' : `${queueParts} parts`}`
        const subject = await openQueueTraffic({ name, onCluster: { queueParts } })
        subjects.push(subject)
        await warmUp(subject, plan.warmUpJobs)
      }
      const judged = await measureRounds(subjects, plan, say)
      const [one = Number.NaN, two = Number.NaN, ...inParts] = subjects.map(({ name }) =>
        fullCoreRate(windowsOf(judged.rounds, name)),
      )
      const shares = subjects.slice(2).map(({ name }) => busiestShare(windowsOf(judged.rounds, name)))
      const partsSaid = clusterParts.map(
        (queueParts, index) =>
          `${queueParts === 1 ? 'one part' : `${queueParts} parts`}: ${inParts[index]?.toFixed(0)} jobs/s, ${((shares[index] ?? Number.NaN) * 100).toFixed(0)} % of what all nodes do for a job`,
      )
      return {
        notes: [
          'Producers and consumers of queue traffic alone, straight on the transport: admission, picture (2 KB), queue, lock, reading, result, publication; no HTTP, no decoding, no model. With two Redis servers each has as much traffic as the one, from processes of its own.',
          `One Redis executes commands on one core. That core is full at ${one.toFixed(0)} jobs/s here: computed from the CPU time of a job, since on few cores the traffic's own processes leave Redis less than a core. With two servers the busier one is full at ${two.toFixed(0)} jobs/s of both. Pictures cost on top what their bytes take.`,
          ...(onClusters.length === 0
            ? []
            : [
                `On a Cluster of three nodes what a job has of its own lies on all of them, and the queue of its model on one; in parts (QUEUE_PARTS) on several. What it bears by the busiest node, and that node's share of the CPU time, a third at best. ${partsSaid.join('; ')}.`,
              ]),
          windowNote(judged, plan.warmUpJobs, plan.windowMs),
        ],
        targets: [
          {
            name: 'Jobs/s that two Redis servers bear, of one',
            sense: 'at least',
            limit: 1.8,
            unit: 'x',
            measured: two / one,
            digits: 2,
            note: 'by the CPU time of the busier one',
            doubt: judged.doubt,
          },
        ],
        tables: [subjectTable('Queue traffic', judged)],
      }
    } finally {
      await stopAll(subjects)
    }
  },
}

/** Into how many parts the queue is spread on a Cluster. */
const clusterParts = [1, 2, 3]

/** The CPU time of each Redis in a window. */
function redisUs({ cpuUs }: Window): number[] {
  return Object.entries(cpuUs).flatMap(([part, us]) => (part.startsWith('Redis') ? [us] : []))
}

/** The busiest Redis' share of the CPU time of all. */
function busiestShare(windows: readonly Window[]): number {
  const shares = windows.map((window) => {
    const all = redisUs(window)
    return Math.max(...all) / all.reduce((sum, us) => sum + us, 0)
  })
  return lowerQuartile(shares)
}

/** Jobs/s at which the busiest Redis has a whole core. */
function fullCoreRate(windows: readonly Window[]): number {
  return 1e6 / lowerQuartile(windows.map((window) => Math.max(...redisUs(window))))
}
