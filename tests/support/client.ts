import { type Job, jobResponseSchema, jobSchema, type Problem, problemSchema } from '@vision-queue/protocol'

import { z } from 'zod'

import type { Example } from './examples.ts'

/** The three forms in which a picture and a question can be posted. */
export const forms = {
  async json(url: string, { image, question }: Example, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'shapes-vqa', input: { image: image.toString('base64'), question } }),
    })
  },
  async multipart(url: string, example: Example, headers: Record<string, string> = {}): Promise<Response> {
    const body = new FormData()
    body.set('model', 'shapes-vqa')
    body.set('question', example.question)
    body.set('image', new Blob([Uint8Array.from(example.image)], { type: example.type }), 'picture')
    return fetch(`${url}/jobs`, { method: 'POST', headers, body })
  },
  async raw(url: string, { image, type, question }: Example, headers: Record<string, string> = {}): Promise<Response> {
    const query = new URLSearchParams({ model: 'shapes-vqa', question })
    return fetch(`${url}/jobs?${query.toString()}`, {
      method: 'POST',
      headers: { 'content-type': type, ...headers },
      body: Uint8Array.from(image),
    })
  },
} as const

/** Submits and resolves to the id; throws unless the job was accepted. */
export async function submit(url: string, example: Example): Promise<string> {
  const response = await forms.raw(url, example)
  if (response.status !== 202) throw new Error(`Not accepted: ${response.status} ${await response.text()}`)
  return jobResponseSchema.parse(await response.json()).id
}

/** The job as `GET /jobs/{id}` gives it, without the addresses in it. */
export async function read(url: string, id: string, waitSeconds = 0): Promise<Job> {
  const response = await fetch(`${url}/jobs/${id}?wait=${waitSeconds}`)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return jobSchema.parse(await response.json())
}

/** Waits by long-polling until the job is final. */
export async function final(url: string, id: string): Promise<Job> {
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const job = await read(url, id, 10)
    if (job.completed_at !== null) return job
  }
  throw new Error(`Job ${id} is not final after a minute`)
}

export async function problem(response: Response): Promise<Problem & { contentType: string }> {
  const contentType = response.headers.get('content-type') ?? ''
  return { ...problemSchema.parse(await response.json()), contentType }
}

export interface ServerSentEvent {
  id: string
  event: string
  data: string
}

/** Reads a stream of server-sent events to its end. Comments come as events named `:`. */
export async function readEvents(response: Response): Promise<ServerSentEvent[]> {
  const blocks = (await response.text()).split('\n\n').filter((block) => block !== '')
  return blocks.map((block) => {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? []
      fields.set(name === '' ? 'event' : name, name === '' ? ':' : value)
    }
    return { id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: fields.get('data') ?? '' }
  })
}

const answerSchema = z.object({ answer: z.string() })

/** What the first answer of a visual question answering job says. */
export function answerOf(job: Job): string | undefined {
  const answers = job.output?.['answers']
  const [first] = Array.isArray(answers) ? answers : []
  return answerSchema.safeParse(first).data?.answer
}

/** A metric's samples by their labels, from Prometheus text. */
export async function readMetric(
  url: string,
  name: string,
): Promise<{ labels: Record<string, string>; value: number }[]> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return text.split('\n').flatMap((line) => {
    const [, found, labelText = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? []
    if (found !== name) return []
    const labels = Object.fromEntries(
      [...labelText.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text_ = '']) => [key, text_]),
    )
    return [{ labels, value: Number(value) }]
  })
}
