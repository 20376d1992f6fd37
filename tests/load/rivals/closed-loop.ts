/**
 * The load, the same for every contender, in a process of its own, so that its CPU time is not theirs:
 * each client posts a JPEG as a raw body, waits for its answer in the same request, checks it, and posts
 * the next. Every request has an image and a question of its own, so that no cache and no storing of
 * equal images once makes anyone faster. Argument: LoopOptions as JSON. Prints LoopReport as JSON.
 */
import { Pool } from 'undici'

import { z } from 'zod'

import { type LoopReport, loopOptionsSchema } from './closed-loop-process.ts'
import { testImage } from './test-image.ts'

const answerSchema = z.object({
  status: z.literal('succeeded'),
  output: z.object({ answers: z.tuple([z.object({ answer: z.string() })]) }),
})

const { url, clients, seconds, maxJobs = Infinity } = loopOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const { origin, pathname, searchParams } = new URL(url)
const image = await testImage()
const pool = new Pool(origin, { connections: clients })
const latenciesMs: number[] = []
let errors = 0
let firstError: string | null = null
let sent = 0

const cpuBefore = process.cpuUsage()
const started = performance.now()
const end = started + seconds * 1000

/** Decoders ignore what follows the end of the image; hashes don't. */
const serialBytes = 8

async function client(): Promise<void> {
  const body = Buffer.concat([image, Buffer.alloc(serialBytes)])
  const expected = `${body.byteLength} bytes`
  while (performance.now() < end && latenciesMs.length < maxJobs) {
    sent += 1
    body.writeUInt32LE(process.pid, image.byteLength)
    body.writeUInt32LE(sent, image.byteLength + 4)
    const query = new URLSearchParams([...searchParams, ['question', `What is on picture ${sent}?`]])
    const sentAt = performance.now()
    try {
      const response = await pool.request({
        path: `${pathname}?${query.toString()}`,
        method: 'POST',
        headers: { 'content-type': 'image/jpeg', prefer: 'wait=30' },
        body,
      })
      const text = await response.body.text()
      if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${text.slice(0, 200)}`)
      const [{ answer }] = answerSchema.parse(JSON.parse(text)).output.answers
      if (answer !== expected) throw new Error(`the answer is ${answer} instead of ${expected}`)
      latenciesMs.push(performance.now() - sentAt)
    } catch (error) {
      errors += 1
      firstError ??= String(error)
    }
  }
}

await Promise.all(Array.from({ length: clients }, client))
const elapsedSeconds = (performance.now() - started) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
const report: LoopReport = {
  latenciesMs,
  errors,
  firstError,
  seconds: elapsedSeconds,
  cpuSeconds: (user + system) / 1e6,
}
process.stdout.write(JSON.stringify(report))
await pool.close()
