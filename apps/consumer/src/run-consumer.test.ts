import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const entry = fileURLToPath(new URL('main.ts', import.meta.url))
const portSchema = z.object({ msg: z.literal('Health and metrics'), port: z.int() })

interface Started {
  child: ChildProcess
  output: () => string
  exited: Promise<number | null>
}

/** A consumer at a Redis that is away. */
function start(env: Record<string, string>): Started {
  const child = fork(bundleRunner, [entry], {
    execArgv: [],
    env: { REDIS_URL: 'redis://127.0.0.1:1', ...env },
    silent: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'exit').then(() => child.exitCode)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { child, output: () => output, exited }
}

test.each([
  [
    'none of the models that are named is there',
    { MODELS: 'shape-vqa,nope' },
    /^MODELS: shape-vqa, nope: no such model in .*models\. Is shapes-vqa meant\? There are: .*shapes-vqa/m,
  ],
  [
    'the repository can not be read',
    { MODEL_REPOSITORY: '/nonexistent/models' },
    /^MODEL_REPOSITORY: \/nonexistent\/models can not be read \(ENOENT\)\.$/m,
  ],
])('a consumer that could serve nothing says why in a sentence and exits 1: %s', async (_, env, sentence) => {
  const { output, exited } = start(env)
  expect(await exited).toBe(1)
  expect(output()).toMatch(sentence)
  expect(output()).not.toMatch(/^ +at /m)
})

test('its port answers while Redis is awaited: live, not ready; and SIGTERM ends it', async () => {
  const { child, output, exited } = start({ CONSUMER_PORT: '0', MODELS: 'shapes-vqa,absent' })
  await expect.poll(output, { timeout: 60_000 }).toContain('Health and metrics')
  const line = output()
    .split('\n')
    .find((text) => text.includes('Health and metrics'))
  const { port } = portSchema.parse(JSON.parse(line ?? ''))
  const url = `http://127.0.0.1:${port}`
  expect((await fetch(`${url}/health/live`)).status).toBe(200)
  const ready = await fetch(`${url}/health/ready`)
  expect([ready.status, await ready.json()]).toMatchObject([503, { missing: ['redis'] }])
  child.kill('SIGTERM')
  expect(await exited).toBe(0)
})
