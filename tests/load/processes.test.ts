import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { childrenOf, cpuSeconds, readMachine, residentBytes, treeOf } from './processes.ts'

test('a process that computes shows in its CPU time and is found under its parent', async () => {
  const child = spawn(process.execPath, ['-e', 'for (;;) Math.sqrt(2)'])
  const pid = child.pid ?? 0
  try {
    while (cpuSeconds(pid) < 0.2) await sleep(20)
    expect(childrenOf(process.pid)).toContain(pid)
    expect(treeOf(process.pid)).toContain(pid)
    expect(treeOf(process.pid)).toContain(process.pid)
    // A Node process holds tens of megabytes.
    expect(residentBytes(pid)).toBeGreaterThan(20e6)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect(cpuSeconds(pid)).toBe(0)
  expect(residentBytes(pid)).toBe(0)
  expect(treeOf(process.pid)).not.toContain(pid)
})

test('the machine has cores, and its idle time only grows', async () => {
  const before = readMachine()
  await sleep(50)
  const after = readMachine()
  expect(before.cores).toBeGreaterThanOrEqual(1)
  expect(after.idleSeconds).toBeGreaterThanOrEqual(before.idleSeconds)
})
