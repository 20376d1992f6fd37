import { jobResponseSchema } from '@vision-queue/protocol'

import { png } from './images.ts'
import { postJson, type TestApi } from './start-api.ts'

/** The id of a job that waits. */
export async function submitJob(api: TestApi): Promise<string> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  return jobResponseSchema.parse(await response.json()).id
}

export interface OpenEvents {
  response: Response
  /** All that came so far. */
  text: () => string
  /** `id status` of each event so far. */
  events: () => string[]
  ended: Promise<void>
  hangUp: () => void
}

export async function openEvents(api: TestApi, id: string, headers: Record<string, string> = {}): Promise<OpenEvents> {
  const client = new AbortController()
  const response = await fetch(`${api.url}/jobs/${id}/events`, { headers, signal: client.signal })
  let text = ''
  const read = async (): Promise<void> => {
    if (response.body === null) return
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) text += chunk
  }
  const ended = read()
  // Hanging up rejects it; tests that wait for the end still see that.
  ended.catch(() => {})
  const events = (): string[] =>
    [...text.matchAll(/^event: job\nid: (\d)\ndata: (.*)\n\n/gm)].map(
      ([, eventId, data]) => `${eventId} ${jobResponseSchema.parse(JSON.parse(data ?? '')).status}`,
    )
  return { response, text: () => text, events, ended, hangUp: () => client.abort() }
}
