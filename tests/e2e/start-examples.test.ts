import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { exampleRequests } from '@vision-queue/local/example-request'
import { startSystem } from '@vision-queue/test-support/system'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)
const lacking = await run('curl', ['--version']).then(
  () => null,
  () => 'curl is not on PATH',
)
if (lacking !== null) console.warn(`Skipped: the lines that npm start prints, because ${lacking}.`)

test.skipIf(lacking !== null)('the lines that npm start prints are answered, the second one as a stream', async () => {
  const system = await startSystem({ consumerEnv: { MODELS: 'shapes-vqa,shapes-chat', ENGINES: '1' } })
  onTestFinished(async () => system.stop())
  const lines = await exampleRequests({ root, url: system.url })
  const [asked = '', streamed = ''] = await Promise.all(
    lines.map(async (line) => (await run('sh', ['-c', line], { cwd: root })).stdout),
  )
  expect(lines).toHaveLength(2)
  expect(JSON.parse(asked)).toMatchObject({ status: 'succeeded', output: { answers: [{ answer: 'red' }] } })
  const chunks = streamed.split('\n\n').filter((event) => event.startsWith('data: {'))
  const text = chunks.map((chunk) => JSON.parse(chunk.slice('data: '.length)).choices[0]?.delta.content ?? '').join('')
  expect(text).toMatch(/red cross/)
  expect(chunks.length).toBeGreaterThan(3)
  expect(streamed.trimEnd().endsWith('data: [DONE]')).toBe(true)
})
