import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { untilGone } from './test-support/stand-ins.ts'

test('a launcher whose npm is killed stops', async () => {
  const launcher = `
    const { onStopRequest } = await import('./infra/local/stop-requests.ts')
    onStopRequest({ stop: () => process.exit(), kill: () => undefined, followParent: true })
    console.log('listens')
    setInterval(() => undefined, 1000)`
  const npm = `
    const { spawn } = require('node:child_process')
    const args = ['--import', 'tsx', '--input-type=module', '-e', process.env.LAUNCHER]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.once('data', () => console.log(child.pid))`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const parent = spawn(process.execPath, ['-e', npm], { cwd, env: { ...process.env, LAUNCHER: launcher } })
  const [text] = await once(parent.stdout, 'data')
  parent.kill('SIGKILL')

  expect(Number(text)).toBeGreaterThan(0)
  await untilGone([Number(text)])
})
