import { fileURLToPath, pathToFileURL } from 'node:url'

import { type Job, jobResponseSchema } from '@vision-queue/jobs'
import { final } from '@vision-queue/test-support/client'

import { freshExample } from './load.ts'
import { type Finding, type Scenario, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

const hourMs = 3_600_000
const shiftedClock = pathToFileURL(fileURLToPath(new URL('shifted-clock.ts', import.meta.url))).href

/** A consumer's clock is far from the API's. */
export const clocks: Scenario = {
  name: 'clocks',
  title: 'a consumer whose clock is an hour ahead or behind',
  async run({ form, say }) {
    const findings: Finding[] = []
    for (const shiftMs of form === 'short' ? [hourMs] : [hourMs, -hourMs]) {
      findings.push(await shifted(shiftMs, form === 'short' ? 500 : 5000))
      say(`${shiftMs} ms done`)
    }
    return findings
  },
}

async function shifted(shiftMs: number, loadMs: number): Promise<Finding> {
  const consumerEnv = { NODE_OPTIONS: `--import tsx --import ${shiftedClock}`, CLOCK_SHIFT_MS: String(shiftMs) }
  return underLoad({ consumerEnv }, async ({ system, load, ledger, finding }) => {
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
