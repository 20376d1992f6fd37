import { setTimeout as delay } from 'node:timers/promises'

import { jobSchema } from '@vision-queue/protocol'
import { forms } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'

/** One job from the request to its answer, which is returned as JSON. Waits for a model that is being loaded. */
export async function ask(url: string, headers: Record<string, string> = {}): Promise<string> {
  const [example] = readExamples()
  if (example === undefined) throw new Error('There are no examples.')
  const submit = async (): Promise<Response> => await forms.raw(url, example, { prefer: 'wait=60', ...headers })
  let response = await submit()
  for (const until = Date.now() + 60_000; response.status === 503 && Date.now() < until;) {
    await delay(1000)
    response = await submit()
  }
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  const job = jobSchema.parse(JSON.parse(text))
  if (job.status !== 'succeeded') throw new Error(`The job is ${job.status}: ${JSON.stringify(job.error)}`)
  return JSON.stringify(job.output)
}
