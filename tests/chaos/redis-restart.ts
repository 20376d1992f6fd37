import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

import { startTestRedis } from '@vision-queue/test-support/redis'
import type { Composition } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'

import { type Finding, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

export interface RestartFault {
  appendFsync: 'everysec' | 'always'
  /**
   * SIGTERM: as for an upgrade. SIGKILL: the process dies, and the kernel has what it wrote. `power`: the machine
   * dies: what was not yet on the disk is gone, which is shown by cutting the file back to where it was a second ago.
   */
  end: 'SIGTERM' | 'SIGKILL' | 'power'
}

/** `everysec` may keep what was written for so long off the disk. */
const unsyncedMs = 1000

/** Redis ends under load and comes back with what its append-only file holds. */
export async function restartRedis(
  { appendFsync, end }: RestartFault,
  loadMs: number,
  composition?: Composition,
): Promise<Finding> {
  const own = await startTestRedis({ appendFsync })
  try {
    return await underLoad(
      { redis: own, composition },
      async ({ system, ledger, load, probe, finding, verdict, redis }) => {
        const running = load()
        await sleep(loadMs)
        const sizes = fileSizes(own.folder)
        if (end === 'power') await sleep(unsyncedMs)
        const diedAt = Date.now()
        await own.restart(end === 'SIGTERM' ? 'SIGTERM' : 'SIGKILL', async () => {
          // With `always` nothing is answered before it is on the disk.
          if (end === 'power' && appendFsync === 'everysec') cutBack(own.folder, sizes)
        })
        const restartedAt = Date.now()
        await until(async () => (await probe()).status === 202, 'jobs are accepted again')
        const recoveredMs = Date.now() - restartedAt
        await sleep(loadMs / 2)
        const counts = await running.stop()
        const judged = await verdict()
        const oldest = Math.max(0, ...judged.lostIds.map((id) => diedAt - ledger.acceptedAt(id)))
        const told = await finding(`Redis: ${names[end]}, appendfsync ${appendFsync}`, counts, {
          figures: {
            'oldest lost, ms before the end': oldest,
            'accepted again, ms after the restart': recoveredMs,
            connections: (await connectionNames(redis)).length,
          },
        })
        // Lost to the disk is what the setting allows, and no more than that.
        const allowed = end === 'power' && appendFsync === 'everysec' ? unsyncedMs + 500 : 0
        const { stuck, duplicated, changed } = judged
        const within = oldest <= allowed && stuck + changed + (allowed > 0 ? 0 : duplicated) === 0
        void system
        return { ...told, held: allowed > 0 ? within : told.held }
      },
    )
  } finally {
    await own.stop()
  }
}

const names = { SIGTERM: 'restarted (SIGTERM)', SIGKILL: 'killed (-9)', power: 'power cut' }

/** The names of the connections that the system has open. */
export async function connectionNames(redis: { client(command: 'LIST'): Promise<unknown> }): Promise<string[]> {
  const list = String(await redis.client('LIST'))
  return [...list.matchAll(/ name=(vision-queue-\S+)/g)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'vision-queue-chaos')
}

function appendOnlyFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files.filter((file) => file.endsWith('.incr.aof')).map((file) => join(folder, file))
}

function fileSizes(folder: string): Map<string, number> {
  return new Map(appendOnlyFiles(folder).map((file) => [file, statSync(file).size]))
}

function cutBack(folder: string, sizes: Map<string, number>): void {
  for (const file of appendOnlyFiles(folder)) truncateSync(file, sizes.get(file) ?? 0)
}
