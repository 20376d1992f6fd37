import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { type Job, jobResponseSchema } from '@vision-queue/protocol'
import { final } from '@vision-queue/test-support/client'
import type { Composition, SystemOptions } from '@vision-queue/test-support/system'

import { freshExample } from './load.ts'
import { type Finding, type Scenario, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

const hourMs = 3_600_000
const fileUrl = (path: string): string => pathToFileURL(fileURLToPath(new URL(path, import.meta.url))).href
const shiftedClock = fileUrl('shifted-clock.ts')
const engineProgram = fileUrl('../../packages/engine/src/engine-process.ts')

/** A consumer's clock is far from the API's. */
export const clocks: Scenario = {
  name: 'clocks',
  title: 'a consumer whose clock is an hour ahead or behind',
  async run({ form, say, composition }) {
    const findings: Finding[] = []
    for (const shiftMs of form === 'short' ? [hourMs] : [hourMs, -hourMs]) {
      findings.push(await shifted(shiftMs, form === 'short' ? 500 : 5000, composition))
      say(`${shiftMs} ms done`)
    }
    return findings
  },
}

async function shifted(shiftMs: number, loadMs: number, composition?: Composition): Promise<Finding> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-clock-'))
  try {
    return await underShiftedClock(shiftMs, loadMs, { composition, engineEntry: await writeEngine(folder, shiftMs) })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The program of engines with the clock of their machine; they get nothing of the consumer's environment. */
async function writeEngine(folder: string, shiftMs: number): Promise<string> {
  const entry = join(folder, 'engine.mts')
  const lines = [
    `process.env['CLOCK_SHIFT_MS'] = '${shiftMs}'`,
    `await import('${shiftedClock}')`,
    `await import('${engineProgram}')`,
    'export {}',
  ]
  await writeFile(entry, lines.join('\n'))
  return entry
}

async function underShiftedClock(
  shiftMs: number,
  loadMs: number,
  options: Pick<SystemOptions, 'composition' | 'engineEntry'>,
): Promise<Finding> {
  const consumerEnv = {
    NODE_OPTIONS: `--import tsx --import ${shiftedClock}`,
    CLOCK_SHIFT_MS: String(shiftMs),
  }
  return underLoad({ ...options, consumerEnv }, async ({ system, load, ledger, finding }) => {
    const running = load()
    await sleep(loadMs)
    const inTime = await withDeadline(system.url, 60_000)
    const counts = await running.stop()
    ledger.accept(inTime.id)
    return finding(`the consumer's clock is ${shiftMs / hourMs} h off`, counts, {
      held: inTime.status === 'succeeded',
      figures: { 'a job with a minute left ended as': inTime.status },
    })
  })
}

async function withDeadline(url: string, deadlineMs: number): Promise<Job> {
  const { image, question } = freshExample()
  const response = await fetch(`${url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { image: image.toString('base64'), question }, deadline_ms: deadlineMs }),
  })
  return final(url, jobResponseSchema.parse(await response.json()).id)
}
