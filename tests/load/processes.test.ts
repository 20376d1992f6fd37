import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { expect, test } from 'vitest'

import { childrenOf, cpuTime, machineCpuSeconds, residentBytes } from './processes.ts'

test('a process that computes shows in its own CPU time and in the machine’s, and is found under its parent', async () => {
  const machineBefore = machineCpuSeconds()
  const child = spawn(process.execPath, ['-e', 'for (;;) Math.sqrt(2)'])
  const pid = child.pid ?? 0
  try {
    while (cpuTime(pid).user < 0.2) {
      await new Promise((resolve) => {
        setTimeout(resolve, 20)
      })
    }
    expect(childrenOf(process.pid)).toContain(pid)
    expect(machineCpuSeconds() - machineBefore).toBeGreaterThan(0.1)
    // A Node process holds tens of megabytes.
    expect(residentBytes(pid)).toBeGreaterThan(20e6)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect(cpuTime(pid)).toEqual({ user: 0, system: 0 })
  expect(residentBytes(pid)).toBe(0)
})
