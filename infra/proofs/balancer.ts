import { randomBytes } from 'node:crypto'

import { jobResponseSchema, jobSchema } from '@vision-queue/protocol'
import { final, forms } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { z } from 'zod'

import { startNginx } from './nginx.ts'
import type { Proof } from './proof.ts'

/** Two APIs behind nginx with the configuration that ships, under load, while they are restarted and killed. */
export const balancer: Proof = {
  name: 'balancer',
  title:
    'behind nginx no request fails and no job is doubled while APIs are restarted and killed; events and uploads pass',
  short: false,
  async run(say) {
    const system = await startSystem({ apis: 2, consumers: 1, composition: 'apart' })
    try {
      const servers = Object.fromEntries(system.apis.map(({ url }) => [new URL(url).host, 1]))
      const nginx = await startNginx(servers)
      try {
        await showEvents(system, nginx.url)
        say('an event of a job that waits comes through at once, and the last one when it is done')
        await showUploads(nginx.url)
        say('a body of 9 MB passes; one of 25 MB is refused by the API’s own words')
        say(await showReplacing(system, nginx.url, 'SIGTERM'))
        say(await showReplacing(system, nginx.url, 'SIGKILL'))
      } finally {
        await nginx.stop()
      }
    } finally {
      await system.stop()
    }
  },
}

/** A picture nobody has sent before, of at least so many bytes: decoders don't read what follows a JPEG's end. */
function freshExample(bytes = 8): Example {
  const example = readExamples().find(({ type }) => type === 'image/jpeg')
  if (example === undefined) throw new Error('There are no examples.')
  return { ...example, image: Buffer.concat([example.image, randomBytes(bytes)]) }
}

async function showEvents({ consumers: [consumer] }: System, url: string): Promise<void> {
  consumer?.signal('SIGSTOP')
  try {
    const { id } = jobResponseSchema.parse(await (await forms.raw(url, freshExample())).json())
    const response = await fetch(`${url}/jobs/${id}/events`)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    const first = (await reader?.read())?.value ?? ''
    if (!first.includes('queued')) throw new Error(`The first event is ${first}.`)
    consumer?.signal('SIGCONT')
    let text = first
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) text += part.value
    if (!text.includes('succeeded')) throw new Error(`The events end without the job's end: ${text}`)
  } finally {
    consumer?.signal('SIGCONT')
  }
}

async function showUploads(url: string): Promise<void> {
  const taken = await forms.raw(url, freshExample(9_000_000))
  if (taken.status !== 202) throw new Error(`9 MB: ${taken.status} ${await taken.text()}`)
  await taken.body?.cancel()
  const refused = await forms.raw(url, freshExample(25_000_000))
  const { code } = z.object({ code: z.string() }).parse(await refused.json())
  if (refused.status !== 413) throw new Error(`25 MB: ${refused.status} ${code}`)
}

/** Both APIs in turn, each replaced at its port while four clients submit and wait. */
async function showReplacing(system: System, url: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<string> {
  const before = await listJobs(url)
  const seen: Seen = { requests: 0, accepted: [], failures: [] }
  const stopping = new AbortController()
  const clients = Array.from({ length: 4 }, async (_, number) => await submitAlways(url, number, seen, stopping.signal))
  const goOn = async (): Promise<void> => {
    const goal = seen.requests + 20
    await until(() => seen.requests >= goal, 'clients go on')
  }
  try {
    for (const [index, old] of system.apis.entries()) {
      await goOn()
      old.signal(signal)
      await old.exited
      await goOn()
      const born = await system.addApi(Number(new URL(old.url).port))
      await until(async () => (await fetch(`${born.url}/health/live`).catch(() => null))?.ok === true, 'it answers')
      system.apis[index] = born
    }
    await goOn()
  } finally {
    stopping.abort()
    await Promise.all(clients)
  }
  const { requests, accepted, failures } = seen
  if (failures.length > 0) {
    throw new Error(`${failures.length} of ${requests} failed: ${failures.slice(0, 5).join('; ')}`)
  }
  for (const id of accepted) {
    const { status } = await final(url, id)
    if (status !== 'succeeded') throw new Error(`${id} is ${status}.`)
  }
  const known = new Set([...before, ...accepted])
  const strangers = (await listJobs(url)).filter((id) => !known.has(id))
  if (strangers.length > 0) throw new Error(`${strangers.length} jobs were run that no client was told of.`)
  return `${signal} to each API under load: 0 of ${requests} requests failed, every job succeeded, none ran twice`
}

interface Seen {
  requests: number
  /** Ids of jobs. */
  accepted: string[]
  failures: string[]
}

/** A client. Of four two wait for each answer, two read it later; two send forms. None sends an Idempotency-Key. */
async function submitAlways(url: string, number: number, seen: Seen, signal: AbortSignal): Promise<void> {
  const headers: Record<string, string> = number % 2 === 0 ? { prefer: 'wait=10' } : {}
  const submit = number < 2 ? forms.raw : forms.multipart
  while (!signal.aborted) {
    seen.requests += 1
    try {
      const response = await submit(url, freshExample(), headers)
      const text = await response.text()
      if (response.ok) seen.accepted.push(jobSchema.pick({ id: true }).parse(JSON.parse(text)).id)
      else seen.failures.push(`${response.status} ${text}`)
    } catch (error) {
      seen.failures.push(String(error))
    }
  }
}

const pageSchema = z.object({ jobs: z.array(z.object({ id: z.string() })), next_cursor: z.string().nullish() })

async function listJobs(url: string): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | null | undefined = ''
  while (cursor !== null && cursor !== undefined) {
    const query = new URLSearchParams({ limit: '100', ...(cursor === '' ? {} : { cursor }) })
    const page = pageSchema.parse(await (await fetch(`${url}/jobs?${query.toString()}`)).json())
    ids.push(...page.jobs.map(({ id }) => id))
    cursor = page.next_cursor
  }
  return ids
}
