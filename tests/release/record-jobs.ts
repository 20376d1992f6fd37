import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { forms, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem } from '@vision-queue/test-support/system'
import { Redis } from 'ioredis'
import { z } from 'zod'

import { openRevision } from '../load/revision.ts'
import type { StoredJobs } from './stored-jobs.ts'

/**
 * `npm run record-jobs REVISION`: lets that revision queue jobs in each form while it has no consumer, and writes what is
 * in its Redis then to queued-by-REVISION.json, which stored-jobs.test.ts reads. To be run at each release, on Redis 7.0,
 * whose dumps every newer one and Valkey read.
 */
const [revision = ''] = process.argv.slice(2)
const idSchema = z.object({ id: z.string() })

const folder = await mkdtemp(join(tmpdir(), 'vision-queue-record-'))
const opened = await openRevision(revision, folder)
try {
  const system = await startSystem({ tree: join(folder, 'revision/'), composition: 'apart', cluster: false })
  try {
    const [consumer] = system.consumers
    consumer?.signal('SIGTERM')
    await consumer?.exited
    await writeRecording(await record(system.url, system.redis.url))
  } finally {
    await system.stop()
  }
} finally {
  await opened.close()
  await rm(folder, { recursive: true, force: true })
}

async function record(url: string, redisUrl: string): Promise<StoredJobs> {
  const [first, second] = readExamples()
  if (first === undefined || second === undefined) throw new Error('There are no examples.')
  const jobs: StoredJobs['jobs'] = [{ id: await submit(url, first), form: 'raw', answer: first.answer }]
  for (const form of ['json', 'multipart'] as const) {
    const { id } = idSchema.parse(await (await forms[form](url, second)).json())
    jobs.push({ id, form, answer: second.answer })
  }
  const body = JSON.stringify({
    model: 'shapes-vqa@1',
    input: { image: second.image.toString('base64'), question: second.question },
    metadata: { order: '42' },
  })
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'recorded' }
  const pinned = await fetch(`${url}/jobs`, { method: 'POST', headers, body })
  jobs.push({ id: idSchema.parse(await pinned.json()).id, form: 'pinned, with metadata', answer: second.answer })
  return { revision, jobs, ...(await dump(redisUrl)) }
}

async function dump(redisUrl: string): Promise<Pick<StoredJobs, 'redis' | 'keys'>> {
  const redis = new Redis(redisUrl)
  try {
    const version = /^redis_version:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown'
    const keys: StoredJobs['keys'] = []
    for (const key of (await redis.keys('*')).toSorted()) {
      const [ttlMs, value] = [await redis.pttl(key), await redis.dumpBuffer(key)]
      if (value !== null) keys.push({ key, ttlMs: Math.max(0, ttlMs), dump: Buffer.from(value).toString('base64') })
    }
    return { redis: version, keys }
  } finally {
    redis.disconnect()
  }
}

async function writeRecording(recording: StoredJobs): Promise<void> {
  const path = new URL(`queued-by-${revision}.json`, import.meta.url)
  await writeFile(path, `${JSON.stringify(recording, null, 2)}\n`)
}
