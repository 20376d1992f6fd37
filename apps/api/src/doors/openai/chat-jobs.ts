import { createHash } from 'node:crypto'

import { isFinal, type Job } from '@vision-queue/protocol'
import type { JobClient } from '@vision-queue/queue/producer'

import type { Intake } from '../../intake/intake.ts'
import type { Accepted, Caller, Question, Submission } from '../../intake/submission.ts'

interface Reply {
  idempotencyKey: string | null
  /** How long to wait for the answers; null: not at all. */
  waitMs: number | null
}

/** The jobs of one request, one for each choice. */
export interface ChatJobs {
  /**
   * All are accepted, or it rejects with what the first one was refused for, and those that were accepted are abandoned.
   * Where it waits, the jobs are as they are at the end of the time, or when the client has gone away.
   */
  submit(questions: readonly Question[], reply: Reply): Promise<Accepted[]>
  /**
   * Cancels what has not ended, because nobody knows of it: the client has gone without an answer. Jobs that came with
   * an Idempotency-Key go on, as the same request gets their answers.
   */
  abandon(accepted: readonly Accepted[], reply: Pick<Reply, 'idempotencyKey'>): Promise<void>
}

interface Options {
  intake: Intake
  jobs: JobClient
  caller: Caller
}

export function createChatJobs({ intake, jobs, caller }: Options): ChatJobs {
  const own = jobs.of(caller.owner)
  const abandon: ChatJobs['abandon'] = async (accepted, { idempotencyKey }) => {
    if (idempotencyKey !== null) return
    const open = accepted.filter(({ job }) => !isFinal(job.status))
    // One that can't be canceled now runs for nobody; the caller's own error is the one to tell.
    await Promise.allSettled(open.map(async ({ job }) => own.cancel(job.id)))
  }
  const waitFor = async (accepted: Accepted, timeoutMs: number): Promise<Accepted> => {
    if (isFinal(accepted.job.status)) return accepted
    const gone = caller.watch()
    try {
      const job: Job | null = await own.waitFor(accepted.job.id, timeoutMs, gone.signal)
      return job === null ? accepted : { ...accepted, job }
    } finally {
      gone.release()
    }
  }
  return {
    async submit(questions, reply) {
      // Several are waited for once all are accepted: what one is refused for is not to wait for the others' answers.
      const waitMs = questions.length === 1 ? reply.waitMs : null
      const settled = await Promise.allSettled(
        questions.map(async (question, choice) =>
          intake.submit(submissionOf(question, choice, { ...reply, waitMs }), caller),
        ),
      )
      const accepted = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const refused = settled.find((one) => one.status === 'rejected')
      if (refused !== undefined) {
        await abandon(accepted, reply)
        throw refused.reason
      }
      const left = waitMs === null ? reply.waitMs : null
      return left === null ? accepted : Promise.all(accepted.map(async (one) => waitFor(one, left)))
    },
    abandon,
  }
}

function submissionOf(question: Question, choice: number, { idempotencyKey, waitMs }: Reply): Submission {
  // The first choice has the key itself, whatever n is; the others have keys made of it.
  const key =
    idempotencyKey === null || choice === 0
      ? idempotencyKey
      : `choice-${choice}-${createHash('sha256').update(idempotencyKey).digest('hex')}`
  return { kind: 'question', question, idempotencyKey: key, waitMs }
}
