import { fileURLToPath } from 'node:url'

import { startSystem } from '@vision-queue/test-support/system'

import type { Contender } from './contender.ts'

const noopEngine = fileURLToPath(new URL('noop-engine.ts', import.meta.url))

/**
 * Our own service as `npm start` sets it up: one API process, one consumer and its engine processes, one
 * per core, all settings at their defaults. Results are not cached: every request has another image.
 */
export function visionQueueContender(version: string): Contender {
  return {
    name: 'vision-queue',
    versions: { 'vision-queue': version, node: process.versions.node },
    async start() {
      const system = await startSystem({ engineEntry: noopEngine })
      return {
        submitUrl: `${system.url}/jobs?model=shapes-vqa`,
        pids: {
          api: system.apis.map(({ pid }) => pid),
          redis: [system.redis.pid],
          workers: system.consumers.map(({ pid }) => pid),
        },
        stop: system.stop,
      }
    },
  }
}
