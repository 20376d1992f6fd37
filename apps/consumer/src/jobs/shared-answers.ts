import { createJobController, type JobController, type JobSignal } from '@vision-queue/process'

/**
 * Jobs in flight that ask the same are computed once: the first runs, the others take its answer. Where it
 * fails, each of the others runs for itself, for a failure may be the first one's own, such as its deadline.
 * A run is given up only when everybody who would take its answer has been canceled.
 */
export interface SharedAnswers<Answer> {
  /**
   * Runs, or takes the answer of one who asks the same right now (`own` false). Rejects with what its own run
   * does, and once `signal` fires with its reason; the run goes on where others wait for it.
   */
  answer(
    digest: string,
    run: (wanted: JobSignal) => Promise<Answer>,
    signal: JobSignal,
  ): Promise<{ answer: Answer; own: boolean }>
}

interface Running<Answer> {
  /** Null: it failed. */
  outcome: Promise<{ answer: Answer } | null>
  /** How many would take the answer. */
  wanting: number
  unwanted: JobController
}

export function createSharedAnswers<Answer>(): SharedAnswers<Answer> {
  const running = new Map<string, Running<Answer>>()

  /** Waits as long as `signal` allows; who leaves last ends the run. */
  const want = async <T>(entry: Running<Answer>, outcome: Promise<T>, signal: JobSignal): Promise<T> => {
    entry.wanting += 1
    let leave = (): void => {}
    const canceled = new Promise<never>((_resolve, reject) => {
      leave = () => {
        entry.wanting -= 1
        if (entry.wanting === 0) entry.unwanted.abort(signal.reason)
        reject(signal.reason)
      }
    })
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave)
    try {
      return await Promise.race([outcome, canceled])
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  const runFor = async (
    digest: string,
    run: (wanted: JobSignal) => Promise<Answer>,
    signal: JobSignal,
  ): Promise<Answer> => {
    const unwanted = createJobController()
    const answer = run(unwanted.signal)
    const entry: Running<Answer> = {
      outcome: answer.then(
        (value) => ({ answer: value }),
        () => null,
      ),
      wanting: 0,
      unwanted,
    }
    running.set(digest, entry)
    // With the run, not with who started it: others may wait for it longer.
    void entry.outcome.finally(() => {
      if (running.get(digest) === entry) running.delete(digest)
    })
    return want(entry, answer, signal)
  }

  return {
    async answer(digest, run, signal) {
      // Looked up in the same turn as it is entered below: of two that come together one is the first.
      const first = running.get(digest)
      // One that everybody has left comes to nothing.
      const shared = first === undefined || first.unwanted.signal.aborted ? null : first
      const its = shared === null ? null : await want(shared, shared.outcome, signal)
      if (its !== null) return { ...its, own: false }
      return { answer: await runFor(digest, run, signal), own: true }
    },
  }
}
