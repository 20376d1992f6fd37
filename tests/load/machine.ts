import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'

import { startTestRedis } from '@vision-queue/test-support/redis'

import { z } from 'zod'

import type { Measured } from './figures.ts'
import { askRedis } from './ask-redis.ts'

const packages = {
  'packages/engine/package.json': ['onnxruntime-node', 'sharp'],
  'packages/queue/package.json': ['bullmq'],
  'packages/redis/package.json': ['ioredis'],
  'apps/api/package.json': ['hono'],
  'apps/load/package.json': ['undici'],
} as const

/** What the figures were taken on. Starts a Redis for a moment, to ask its version. */
export async function describeMachine(): Promise<Measured['machine']> {
  const versions = Object.entries(packages).flatMap(([file, names]) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    const { dependencies } = z.object({ dependencies: z.record(z.string(), z.string()) }).parse(JSON.parse(text))
    return names.map((name) => `${name} ${dependencies[name]}`)
  })
  const redis = await startTestRedis()
  try {
    const [, version = 'of unknown version'] =
      /redis_version:(\S+)/.exec(await askRedis(redis.url, 'INFO server')) ?? []
    return {
      cores: availableParallelism(),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      node: process.versions.node,
      redis: `Redis ${version}`,
      packages: versions.join(', '),
    }
  } finally {
    await redis.stop()
  }
}
