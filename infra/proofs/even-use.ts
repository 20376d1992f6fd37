import { randomBytes } from 'node:crypto'

import { final, submit } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { z } from 'zod'

import { startNginx } from './nginx.ts'
import type { Proof } from './proof.ts'

const jobs = 600
const clients = 8
const weights = [3, 1] as const
/** nginx counts exactly, its workers together. */
const apiSlack = 0.03
/** Of a third. Consumers take what they have room for, whoever asks first, so shares follow from how quick each is. */
const consumerSlack = 0.12

/** Two APIs of different weights behind nginx and three consumers of one engine, with more to do than they can hold. */
export const evenUse: Proof = {
  name: 'even-use',
  title: 'two APIs behind nginx get requests by their weights, and three consumers about as many jobs each',
  short: false,
  async run(say) {
    const system = await startSystem({
      apis: 2,
      consumers: 3,
      composition: 'apart',
      consumerEnv: { ENGINES: '1' },
    })
    try {
      const hosts = system.apis.map(({ url }) => new URL(url).host)
      const nginx = await startNginx(Object.fromEntries(hosts.map((host, index) => [host, weights[index] ?? 1])))
      try {
        await submitAll(nginx.url)
      } finally {
        await nginx.stop()
      }
      await show(system, say)
    } finally {
      await system.stop()
    }
  },
}

async function submitAll(url: string): Promise<void> {
  const example = readExamples().find(({ type }) => type === 'image/jpeg')
  if (example === undefined) throw new Error('There are no examples.')
  // Decoders don't read what follows a JPEG's end: each is another picture.
  const fresh = (): Example => ({ ...example, image: Buffer.concat([example.image, randomBytes(8)]) })
  let left = jobs
  const ids: string[] = []
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (left > 0) {
        left -= 1
        ids.push(await submit(url, fresh()))
      }
    }),
  )
  for (const id of ids) {
    const { status } = await final(url, id)
    if (status !== 'succeeded') throw new Error(`${id} is ${status}.`)
  }
}

const modelSchema = z.object({
  consumer_stats: z.array(z.object({ id: z.string(), jobs: z.object({ succeeded: z.int().optional() }) })),
})

async function show({ apis, url }: System, say: (line: string) => void): Promise<void> {
  const submitted = await Promise.all(
    apis.map(async (api) => {
      const text = await (await fetch(`${api.url}/metrics`)).text()
      return Number(/^vision_queue_jobs_submitted_total\{model="shapes-vqa"\} (\d+)/m.exec(text)?.[1] ?? 0)
    }),
  )
  const sum = weights[0] + weights[1]
  judge(
    'API',
    submitted,
    weights.map((weight) => weight / sum),
    apiSlack,
    say,
  )
  // What they told last may be a heartbeat old.
  let done: number[] = []
  for (let look = 0; look < 100 && total(done) < jobs; look += 1) {
    const { consumer_stats: consumers } = modelSchema.parse(await (await fetch(`${url}/models/shapes-vqa`)).json())
    done = consumers.map(({ jobs: ended }) => ended.succeeded ?? 0)
    await new Promise((resolve) => void setTimeout(resolve, 100))
  }
  judge('consumer', done, [1 / 3, 1 / 3, 1 / 3], consumerSlack, say)
}

function judge(
  what: string,
  counts: readonly number[],
  shares: readonly number[],
  slack: number,
  say: (line: string) => void,
): void {
  const told = `${counts.join(', ')} of ${jobs} jobs by ${what}`
  const isEven = shares.every((share, index) => Math.abs((counts[index] ?? 0) / jobs - share) <= slack)
  if (total(counts) !== jobs || !isEven) throw new Error(`${told}: not as expected.`)
  say(told)
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
