import { isFinal, type FinalJob, type Job, type JobEvent } from '@vision-queue/protocol'

import type { LoggedText } from '../text-log.ts'
import { type JobPosition, parsePosition, statePosition, textPosition } from './job-position.ts'
import {
  finalRun,
  hearPiece,
  nothingRead,
  type NumberedPiece,
  readFinal,
  readLog,
  type ReadOn,
  resumedReading,
  type TextReading,
} from './text-reading.ts'

/** What one reader of a job has been told; turns what is known of the job into the events that the reader lacks. */
export interface EventReader {
  /** Of the job as it is. Older states than the last one tell nothing: reads and messages may overtake each other. */
  see(job: Job): JobEvent[]
  /** Of a `running` that was published. */
  run(at: { startedAt: number; attempts: number }): JobEvent[]
  /** Of a piece of the text; `gap` if the log has to be read first. */
  hear(piece: NumberedPiece): JobEvent[] | 'gap'
  /** Of the log of the text. */
  catchUp(log: LoggedText | null): JobEvent[]
  /** Whether the text's log may have what the reader lacks of this job. */
  wantsLog(job: Job): boolean
  /** Whether the job is final: nothing more comes. */
  readonly isOver: boolean
}

interface Options {
  /** See JobEventsOptions. */
  after: string | null
  deltas: boolean
}

export function createEventReader({ after, deltas }: Options): EventReader {
  const start = after === null ? null : parsePosition(after)
  let toldState: JobPosition['state'] | null = start?.state ?? null
  /** What the reader has read before; null as soon as that is found in the log, or of no use any more. */
  let before = deltas ? (start?.text ?? null) : null
  let last: Job | null = null
  let reading: TextReading = nothingRead
  /** A run whose log is gone: its text comes with the final state. */
  let lostRun: string | null = null

  const tell = (on: ReadOn | null): JobEvent[] => {
    if (on === null) return []
    before = null
    reading = on.reading
    return [{ kind: 'delta', position: textPosition(reading), ...on.piece }]
  }
  const tellFinal = (job: FinalJob): JobEvent[] => {
    if (toldState === '3') return []
    const text = job.output?.['text']
    const rest = deltas && typeof text === 'string' ? tellRest(text) : []
    return [...rest, { kind: 'final', position: '3', job }]
  }
  const tellRest = (text: string): JobEvent[] => {
    if (before?.run === finalRun) reading = { ...before, text: text.slice(0, before.pieces) }
    return tell(readFinal(reading, text))
  }
  const see = (job: Job): JobEvent[] => {
    if (last !== null && (isFinal(last.status) || last.status === job.status)) return []
    if (last?.status === 'running' && job.status === 'queued') return []
    last = job
    if (isFinalJob(job)) return tellFinal(job)
    const position = statePosition(job.status)
    if (toldState === position) return []
    toldState = position
    return [{ kind: 'state', position, job }]
  }

  return {
    see,
    run({ startedAt, attempts }) {
      if (last === null) return []
      return see({ ...last, status: 'running', attempts, started_at: new Date(startedAt).toISOString() })
    },
    hear(piece) {
      if (!deltas || piece.run === lostRun) return []
      const heard = hearPiece(reading, piece)
      if (heard !== 'gap') return tell(heard)
      // Read in vain once, the log is not read for every further piece.
      lostRun = piece.run
      return 'gap'
    },
    catchUp(log) {
      if (log === null) return []
      lostRun = null
      if (before !== null && before.run !== finalRun) {
        reading = resumedReading(before, log)
        before = null
      }
      return tell(readLog(reading, log))
    },
    wantsLog(job) {
      if (!deltas) return false
      if (isFinal(job.status)) return before !== null && before.run !== finalRun
      return job.status === 'running' || last?.status === 'running' || before !== null
    },
    get isOver() {
      return last !== null && isFinal(last.status)
    },
  }
}

function isFinalJob(job: Job): job is FinalJob {
  return isFinal(job.status)
}
