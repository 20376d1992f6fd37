import { Pool } from 'undici'

import { readExamples } from '@vision-queue/test-support/examples'

/**
 * A closed loop of clients in a process of its own, so that its CPU time is not the service's: each
 * posts a picture as a raw body with `Prefer: wait` and asks for the next when it has the answer.
 * Argument: LoadOptions as JSON. Prints LoadReport as JSON.
 */
export interface LoadOptions {
  url: string
  clients: number
  seconds: number
}

export interface LoadReport {
  jobs: number
  errors: number
  seconds: number
  /** Of the latency from request to final answer, in milliseconds. */
  p50: number
  p95: number
  p99: number
  cpuSeconds: number
}

const { url, clients, seconds }: LoadOptions = JSON.parse(process.argv[2] ?? '{}')
const requests = readExamples().map(({ image, type, question }) => ({
  path: `/jobs?${new URLSearchParams({ model: 'shapes-vqa', question }).toString()}`,
  method: 'POST' as const,
  headers: { 'content-type': type, prefer: 'wait=30' },
  body: image,
}))
const pool = new Pool(url, { connections: clients })
const latencies: number[] = []
let errors = 0
let next = 0
const started = performance.now()
const end = started + seconds * 1000

async function client(): Promise<void> {
  while (performance.now() < end) {
    const request = requests[next++ % requests.length]
    if (request === undefined) throw new Error('No examples')
    const sentAt = performance.now()
    const { statusCode, body } = await pool.request(request)
    const text = await body.text()
    if (statusCode === 200 && text.includes('"status":"succeeded"')) latencies.push(performance.now() - sentAt)
    else errors += 1
  }
}

await Promise.all(Array.from({ length: clients }, client))
const elapsed = (performance.now() - started) / 1000
const { user, system } = process.cpuUsage()
const sorted = Float64Array.from(latencies).toSorted()
const percentile = (share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
const report: LoadReport = {
  jobs: latencies.length,
  errors,
  seconds: elapsed,
  p50: percentile(0.5),
  p95: percentile(0.95),
  p99: percentile(0.99),
  cpuSeconds: (user + system) / 1e6,
}
process.stdout.write(JSON.stringify(report))
await pool.close()
