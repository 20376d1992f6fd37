import { isFinal, type JobStatus } from '@vision-queue/protocol'

/**
 * A position in a job's events, as text: `1` queued, `2` running, `3` final, and `2.<run>.<pieces>` for a reader that has
 * these pieces of a text (text-reading.ts).
 */
export interface JobPosition {
  state: '1' | '2' | '3'
  text: { run: string; pieces: number } | null
}

/** The position of a state. */
export function statePosition(status: JobStatus): JobPosition['state'] {
  if (isFinal(status)) return '3'
  return status === 'running' ? '2' : '1'
}

/** The position after a piece of the text. */
export function textPosition({ run, pieces }: { run: string | null; pieces: number }): string {
  return `2.${run ?? ''}.${pieces}`
}

/** Null for what is no position: the reader is told everything. */
export function parsePosition(text: string): JobPosition | null {
  const [, state, run, pieces] = /^([123])(?:\.([A-Za-z0-9_-]{1,40})\.(\d{1,9}))?$/.exec(text) ?? []
  if (state !== '1' && state !== '2' && state !== '3') return null
  return { state, text: run === undefined ? null : { run, pieces: Number(pieces) } }
}
