import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { startTestRedis } from '@vision-queue/test-support/redis'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const example = fileURLToPath(new URL('test-support/example.ts', import.meta.url))

test('README’s example does what it says', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, shown] = /```ts\n([\s\S]+?)```/.exec(readme) ?? []
  expect(shown).toBe(readFileSync(example, 'utf8'))
  const server = await startTestRedis()
  try {
    const { stdout } = await run(process.execPath, ['--import', 'tsx', example, server.url])
    expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['one {"size":24}', 'entered two', 'two {"size":6}']))
  } finally {
    await server.stop()
  }
})
