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
      // The parts of this model's queue lie on different nodes of the Cluster.
      const onClusters = (await whyNoRedisGroups()) === null ? [1, 2] : []
      for (const queueParts of onClusters) {
        const name = `Cluster, ${queueParts === 1 ? 'one part' : `${queueParts} parts`}`
        const subject = await openQueueTraffic({ name, onCluster: { queueParts } })
        subjects.push(subject)
        await warmUp(subject, plan.warmUpJobs)
      }
      const judged = await measureRounds(subjects, plan, say)
      const [one = Number.NaN, two = Number.NaN, whole = Number.NaN, halves = Number.NaN] = subjects.map(({ name }) =>
        fullCoreRate(windowsOf(judged.rounds, name)),
      )
      return {
        notes: [
          'Producers and consumers of queue traffic alone, straight on the transport: admission, picture (2 KB), queue, lock, reading, result, publication; no HTTP, no decoding, no model. With two Redis servers each has as much traffic as the one, from processes of its own.',
          `One Redis executes commands on one core. That core is full at ${one.toFixed(0)} jobs/s here: computed from the CPU time of a job, since on few cores the traffic's own processes leave Redis less than a core. With two servers the busier one is full at ${two.toFixed(0)} jobs/s of both. Pictures cost on top what their bytes take.`,
          ...(onClusters.length === 0
            ? []
            : [
                `On a Cluster of three nodes what a job has of its own lies on all of them, and the queue of its model on one; in two parts (QUEUE_PARTS=2) on two. By the busiest node it bears ${whole.toFixed(0)} jobs/s in one part, and ${halves.toFixed(0)} in two.`,
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

/** Jobs/s at which the busiest Redis has a whole core. */
function fullCoreRate(windows: readonly Window[]): number {
  const busiest = windows.map(({ cpuUs }) => {
    const servers = Object.entries(cpuUs).filter(([part]) => part.startsWith('Redis'))
    return Math.max(...servers.map(([, us]) => us))
  })
  return 1e6 / lowerQuartile(busiest)
}
