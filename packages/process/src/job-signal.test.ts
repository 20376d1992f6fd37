import { expect, test } from 'vitest'

import { createJobController, type JobSignal } from './job-signal.ts'

/** What two listeners hear, the second of which goes before the signal fires; and one who comes too late. */
function hear({ signal, abort }: { signal: JobSignal; abort: (reason?: unknown) => void }, reason?: unknown) {
  const heard: string[] = []
  const gone = (): void => void heard.push('gone')
  signal.addEventListener('abort', () => heard.push('stays'))
  signal.addEventListener('abort', gone)
  signal.removeEventListener('abort', gone)
  const before = [signal.aborted, signal.reason]
  abort(reason)
  abort('again')
  signal.addEventListener('abort', () => heard.push('late'))
  return { before, aborted: signal.aborted, reason: signal.reason, heard }
}

test.each([undefined, 'not wanted'])('does what an AbortController does (reason: %s)', (reason) => {
  const controller = new AbortController()
  const real = { signal: controller.signal, abort: (why: unknown) => controller.abort(why) }
  expect(hear(createJobController(), reason)).toEqual(hear(real, reason))
})
