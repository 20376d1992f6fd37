import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { final } from '@vision-queue/test-support/client'
import { startSystem, type System } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const example = fileURLToPath(new URL('../../examples/own-task/models', import.meta.url))
const eventually = { timeout: 60_000, interval: 100 }

let repository: string
let system: System

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'own-task-'))
  await cp(example, repository, { recursive: true })
  const env = { MODELS: '', MODEL_REPOSITORY: repository, MODEL_POLL_MS: '100', ENGINES: '1', MODEL_CODE: 'on' }
  system = await startSystem({ consumerEnv: env, apiEnv: { MODELS_REFRESH_MS: '50' } })
})
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

const task = (): string => join(repository, 'colour-name', '1', 'task.ts')

async function ask(background: string, parameters: object): Promise<unknown> {
  const image = await sharp({ create: { width: 9, height: 9, channels: 3, background } })
    .png()
    .toBuffer()
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'colour-name', input: { image: image.toString('base64') }, parameters }),
  })
  const body: unknown = await response.json()
  if (response.status !== 202) return body
  return (await final(system.url, jobResponseSchema.parse(body).id)).output
}

async function shownError(): Promise<string | null | undefined> {
  const body: unknown = await (await fetch(`${system.url}/models`)).json()
  const details = z.object({ error: z.string().nullable() })
  const listed = z.object({ models: z.array(details.extend({ version_details: z.array(details) })) }).parse(body)
  const [model] = listed.models
  return model?.version_details[0]?.error ?? model?.error
}

test('the example answers, and its schemas hold for whoever asks', async () => {
  expect(await ask('orange', { names: 2 })).toMatchObject({ colours: [{ name: 'orange' }, { name: 'yellow' }] })
  expect(await ask('orange', { names: 9 })).toMatchObject({ code: 'invalid_input' })
})

test('a mistake in its code is shown with its place while the old one answers, and the next version of it is served', async () => {
  const code = await readFile(task(), 'utf8')
  await writeFile(task(), `${code}\nconst = 1`)
  await expect.poll(shownError, eventually).toMatch(/colour-name\/1\/task\.ts can not be compiled: task\.ts:\d+:\d+: /)
  expect(await ask('red', {})).toMatchObject({ colours: [{ name: 'red' }] })
  await writeFile(
    task(),
    code
      .replace('decode: ({ logits }) => ({ colours', 'decode: ({ logits }) => ({ hue: 1, colours')
      .replace('z.object({ colours', 'z.object({ hue: z.int(), colours'),
  )
  await expect.poll(async () => ask('blue', {}), eventually).toMatchObject({ hue: 1, colours: [{ name: 'blue' }] })
})
