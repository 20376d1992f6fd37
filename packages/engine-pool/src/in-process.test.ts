import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { writeTinyModel } from '@vision-queue/models/test/tiny-model'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { requestOf, quiet } from '../test/unruly-pool.ts'
import { createEnginePool } from './engine-pool.ts'
import { createInProcessEnginePool } from './in-process.ts'
import type { EnginePool } from './inference.ts'

let modelFolder = ''
const images: Buffer[] = []
beforeAll(async () => {
  modelFolder = join(await mkdtemp(join(tmpdir(), 'in-process-')), 'tiny', '1')
  await writeTinyModel(modelFolder)
  for (const background of ['#ff0000', '#00ff00', '#0000ff']) {
    images.push(
      await sharp({ create: { width: 20, height: 20, channels: 3, background } })
        .png()
        .toBuffer(),
    )
  }
})
afterAll(async () => {
  await rm(join(modelFolder, '../..'), { recursive: true })
})

const options = () => ({ modelFolder, name: 'tiny', version: '1', intraOpThreads: 1, log: quiet })

async function answersOf(pool: EnginePool) {
  const jobs = images.map(async (image) => pool.run(requestOf('job', 'what is it ?', image)))
  const broken = pool.run(requestOf('job', 'what is it ?', Uint8Array.from([1, 2, 3])))
  const settled = await Promise.allSettled([...jobs, broken])
  return settled.map((result) => (result.status === 'fulfilled' ? result.value.output : result.reason))
}

it('gives the answers and errors that engines in processes give, and can be opened again', async () => {
  const pools = [
    createEnginePool({ ...options(), engines: 1, runTimeoutMs: 60_000 }),
    createInProcessEnginePool(options()),
  ]
  const [forked, here] = await Promise.all(pools.map(answersOf))
  await Promise.all(pools.map(async (pool) => pool.close({ deadlineMs: 0 })))
  expect(here).toEqual(forked)
  expect(here).toMatchObject([{}, {}, {}, { code: 'image_undecodable' }])
  expect(JSON.stringify(here)).toMatch(/red.+green.+blue/s)
  const again = createInProcessEnginePool(options())
  expect(await answersOf(again)).toEqual(forked)
  await again.close({ deadlineMs: 0 })
  expect(again.pids).toEqual([])
})

it('says which file of a folder is at fault', async () => {
  const pool = createInProcessEnginePool({ ...options(), modelFolder: '/nowhere', name: 'missing' })
  await expect(pool.ready).rejects.toMatchObject({
    detail: expect.stringContaining('missing/1/onnx/model.onnx is missing: '),
  })
  await pool.close({ deadlineMs: 0 })
})
