import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import { probeProvider } from './provider-probe.ts'

test('the CPU can be used, and a provider that is not there is refused with a reason', async () => {
  expect(await probeProvider('cpu')).toBeNull()
  expect(await probeProvider('coreml')).toMatch(/can not be used \(coreml: .+\)/)
})

test('it is tried with the variables of the engines, and a crash after its work is done is no refusal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-probe-test-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const crash = join(folder, 'crash.cjs')
  await writeFile(crash, `process.stdout.write('usable'); process.kill(process.pid, 'SIGSEGV')`)
  expect(await probeProvider('coreml', { NODE_OPTIONS: `--require=${crash}` })).toBeNull()
})
