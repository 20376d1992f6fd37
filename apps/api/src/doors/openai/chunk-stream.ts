import { createJobController, type JobSignal } from '@vision-queue/process'
import type { FinalJob, JobEvent } from '@vision-queue/protocol'

import { openEventBody } from '../../delivery/event-body.ts'
import type { WaitSignal } from '../../delivery/wait-signal.ts'
import type { Accepted } from '../../intake/submission.ts'
import type { Answer } from './answer.ts'
import { type Chunk, chunksOf } from './chunks.ts'
import { headOf } from './completion.ts'
import type { OpenAiError } from './error-response.ts'

interface Options {
  accepted: readonly Accepted[]
  /** The events of a job, until the signal fires. */
  events: (id: string, signal: JobSignal) => AsyncIterable<JobEvent>
  /** Throws where the job has no answer. */
  readAnswer: (job: FinalJob) => Answer
  includeUsage: boolean
  heartbeatMs: number
  /** Fires when the client goes away. */
  client: WaitSignal
  /** Called where the stream ends before all jobs have their answers. */
  abandon: () => Promise<void>
}

/** The body of a streamed answer: a chunk an event, `[DONE]` at the end, and comments while nothing comes. */
export function openChunkStream(options: Options): ReadableStream<Uint8Array> {
  const { accepted, client, includeUsage, readAnswer, heartbeatMs } = options
  const [first] = accepted
  if (first === undefined) throw new Error('a stream without choices')
  const ending = createJobController()
  let isWhole = false
  const end = (): void => {
    if (ending.signal.aborted) return
    client.signal.removeEventListener('abort', end)
    client.release()
    ending.abort()
    if (!isWhole) void options.abandon()
  }
  client.signal.addEventListener('abort', end)
  if (client.signal.aborted) end()
  const events = accepted.map(({ job }) => options.events(job.id, ending.signal))
  const chunks = chunksOf({ head: headOf(first.job), events, readAnswer, includeUsage })
  const encoded = async function* (): AsyncGenerator<string, void, undefined> {
    let failed = false
    for await (const chunk of chunks) {
      failed ||= 'error' in chunk
      yield encode(chunk)
    }
    isWhole = !failed
    yield 'data: [DONE]\n\n'
  }
  return openEventBody(encoded(), { opening: '', heartbeatMs, onEnd: end })
}

function encode(chunk: Chunk | OpenAiError): string {
  return `data: ${JSON.stringify(chunk)}\n\n`
}
