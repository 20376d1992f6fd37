import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { runBareLoop } from './bare.ts'
import type { TaskRequest } from './tasks/task.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bare-'))
  await writeTinyModel(folder)
})
afterAll(async () => rm(folder, { recursive: true }))

const colours = ['red', 'green', 'blue'] as const
const model = { name: 'tiny', version: '1', intraOpThreads: 1 }

/** Of different sizes, so that they are not decoded in their order. */
async function ask(index: number): Promise<TaskRequest> {
  const edge = index % 2 === 0 ? 900 : 10
  const background = colours[index % 3] ?? 'red'
  const image = await sharp({ create: { width: edge, height: edge, channels: 3, background: full[background] } })
    .jpeg()
    .toBuffer()
  return { images: [image], input: { question: 'what is it ?' }, parameters: {} }
}
const full = { red: '#ff0000', green: '#00ff00', blue: '#0000ff' }

it.each([
  [1, 1],
  [4, 9],
  [8, 1],
])('answers every request in its place, in batches of %i with %i in preparation', async (batchSize, preparing) => {
  const requests = await Promise.all(Array.from({ length: 23 }, async (_, index) => ask(index)))
  const { outputs, cpuSeconds } = await runBareLoop({ ...model, folder, requests, batchSize, preparing })
  const answers = outputs.map((output) => JSON.stringify(output))
  expect(answers).toHaveLength(23)
  for (const [index, answer] of answers.entries()) expect(answer).toContain(colours[index % 3])
  expect(cpuSeconds).toBeGreaterThan(0)
})

it('rejects with the first image that can not be decoded', async () => {
  const requests = await Promise.all(Array.from({ length: 5 }, async (_, index) => ask(index)))
  requests.push({ images: [Uint8Array.of(1, 2, 3)], input: { question: 'what is it ?' }, parameters: {} })
  const run = runBareLoop({ ...model, folder, requests, batchSize: 4, preparing: 8 })
  await expect(run).rejects.toMatchObject({ code: 'image_undecodable' })
})
