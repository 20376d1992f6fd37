import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { expect, it } from 'vitest'

import { treeCpuSeconds } from './process-cpu.ts'

it.runIf(process.platform === 'linux')('what a process has started counts with it', async () => {
  // The shell waits; its child burns a tenth of a second of CPU, says so, and sleeps until it is told to end.
  const burn = 'while (process.cpuUsage().user < 1e5); console.log("done"); process.stdin.resume()'
  const shell = spawn('sh', ['-c', '"$0" -e "$1"; true', process.execPath, burn], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(shell.stdout, 'data')
  try {
    expect(treeCpuSeconds([shell.pid ?? 0])).toBeGreaterThanOrEqual(0.09)
  } finally {
    shell.stdin.end()
    await once(shell, 'exit')
  }
})

it('a process that is gone has none', () => {
  expect(treeCpuSeconds([2 ** 30])).toBe(0)
})
