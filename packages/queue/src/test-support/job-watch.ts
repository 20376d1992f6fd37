import type { Job, JobEvent } from '@vision-queue/protocol'

import type { JobClient } from '../producer/job-client.ts'
import type { JobEventsOptions } from '../producer/job-events.ts'
import type { OwnedJobs } from '../producer/owned-jobs.ts'

/** A client that is the jobs of callers without a key, too: most tests have no other. */
export type TestClient = JobClient & OwnedJobs

export function testClient(client: JobClient): TestClient {
  return Object.assign(client, client.of(null))
}

/** All events of a job from now on, as they come; resolves once none can be missed. */
export async function collectEvents(
  jobs: OwnedJobs,
  id: string,
  options: JobEventsOptions = {},
): Promise<{ events: JobEvent[]; states: () => string[]; jobs: () => Job[]; ended: Promise<void> }> {
  const events: JobEvent[] = []
  const opened = jobs.events(id, options)
  await opened.open()
  const read = async (): Promise<void> => {
    for await (const event of opened) events.push(event)
  }
  const states = (): Job[] => events.flatMap((event) => (event.kind === 'delta' ? [] : [event.job]))
  return { events, jobs: states, states: () => states().map(({ status }) => status), ended: read() }
}

/** A text as a reader has it that keeps to the deltas. */
export function textOf(events: readonly JobEvent[]): string {
  return events.reduce((text, event) => {
    return event.kind === 'delta' ? text.slice(0, event.index) + event.text : text
  }, '')
}
