/**
 * Jobs in flight that ask the same are computed once: the first runs, the others take its answer. Where it
 * fails, each of the others runs for itself, for a failure may be the first one's own, such as its deadline.
 */
export interface SharedAnswers<Answer> {
  /** Runs, or takes the answer of one who asks the same right now (`own` false). Rejects with what its own run does. */
  answer(digest: string, run: () => Promise<Answer>): Promise<{ answer: Answer; own: boolean }>
}

export function createSharedAnswers<Answer>(): SharedAnswers<Answer> {
  const running = new Map<string, Promise<{ answer: Answer } | null>>()

  const runFor = async (digest: string, run: () => Promise<Answer>): Promise<Answer> => {
    const answer = run()
    const shared = answer.then(
      (value) => ({ answer: value }),
      () => null,
    )
    running.set(digest, shared)
    try {
      return await answer
    } finally {
      if (running.get(digest) === shared) running.delete(digest)
    }
  }

  return {
    async answer(digest, run) {
      // Looked up in the same turn as it is entered below: of two that come together one is the first.
      const first = running.get(digest)
      const its = first === undefined ? null : await first
      if (its !== null) return { ...its, own: false }
      return { answer: await runFor(digest, run), own: true }
    },
  }
}
