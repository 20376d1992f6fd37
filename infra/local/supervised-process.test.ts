import { expect, test } from 'vitest'

import { superviseProcess, type Backoff, type SupervisedProcess } from './supervised-process.ts'
import { until, untilGone } from './test-support/stand-ins.ts'

interface Supervision {
  supervised: SupervisedProcess
  said: string[]
  lines: string[]
}

function supervise(script: string, backoff: Partial<Backoff> = {}, stopDeadlineMs = 10_000): Supervision {
  const said: string[] = []
  const lines: string[] = []
  const supervised = superviseProcess({
    name: 'it',
    command: { file: process.execPath, args: ['-e', script], cwd: process.cwd(), env: process.env },
    ipc: false,
    backoff: { minMs: 10, maxMs: 40, steadyMs: 60_000, ...backoff },
    stopDeadlineMs,
    say: (line) => said.push(line),
    onLine: (line) => lines.push(line),
    onChange: () => undefined,
    onExit: () => 'restart',
  })
  return { supervised, said, lines }
}

const waits = (said: readonly string[]): string[] => said.flatMap((line) => /in ([\d.]+) s/.exec(line)?.slice(1) ?? [])

test('the wait before a restart doubles up to its limit', async () => {
  const { supervised, said } = supervise('process.exit(7)')
  await until(
    () => waits(said).length >= 4,
    () => said.join('\n'),
  )
  await supervised.stop()

  expect(said[0]).toBe('it ended with exit code 7; it is started again in 0.01 s.')
  expect(waits(said).slice(0, 4)).toEqual(['0.01', '0.02', '0.04', '0.04'])
})

test('a process that stayed up starts over at the shortest wait', async () => {
  const { supervised, said } = supervise('setTimeout(() => process.exit(7), 400)', { steadyMs: 100 })
  await until(
    () => waits(said).length >= 3,
    () => said.join('\n'),
  )
  await supervised.stop()

  expect(waits(said).slice(0, 3)).toEqual(['0.01', '0.01', '0.01'])
})

test('a program that does not exist is tried again, and named', async () => {
  const said: string[] = []
  const supervised = superviseProcess({
    name: 'it',
    command: { file: '/nowhere/at-all', args: [], cwd: process.cwd(), env: {} },
    ipc: false,
    backoff: { minMs: 10, maxMs: 40, steadyMs: 60_000 },
    stopDeadlineMs: 1000,
    say: (line) => said.push(line),
    onLine: () => undefined,
    onChange: () => undefined,
    onExit: () => 'restart',
  })
  await until(
    () => said.length >= 2,
    () => said.join('\n'),
  )
  await supervised.stop()

  expect(said[0]).toContain('could not be started: spawn /nowhere/at-all ENOENT')
})

test('a stop kills a process that does not listen after its deadline, and what it has started', async () => {
  const script = `
    process.on('SIGTERM', () => undefined)
    const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
    console.log(pid)
    setInterval(() => undefined, 1000)`
  const { supervised, lines } = supervise(script, {}, 50)
  await until(
    () => lines.length === 1,
    () => 'the child',
  )
  const pids = [supervised.pid ?? 0, Number(lines[0])]
  await supervised.stop()

  expect(supervised.pid).toBeUndefined()
  await untilGone(pids)
})

test('a process that dies takes with it what it has started', async () => {
  const script = `
    const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
    console.log(pid)
    setInterval(() => undefined, 1000)`
  const { supervised, lines } = supervise(script, { minMs: 60_000, maxMs: 60_000 })
  await until(
    () => lines.length === 1,
    () => 'the child',
  )
  const [own, child] = [supervised.pid ?? 0, Number(lines[0])]
  process.kill(own, 'SIGKILL')
  await untilGone([own, child])

  await supervised.stop()
  expect(lines).toHaveLength(1)
})
