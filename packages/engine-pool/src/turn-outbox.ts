import type { ToEngine } from '@vision-queue/engine/messages'

/**
 * Sends what is said to an engine within one turn of the event loop at the end of that turn, with all jobs that follow
 * each other in one message: each message costs a system call and a wake-up on both sides.
 */
export function createTurnOutbox(send: (message: ToEngine) => void): (message: ToEngine) => void {
  let waiting: ToEngine[] = []

  function flush(): void {
    const messages = waiting
    waiting = []
    for (const message of joinJobs(messages)) send(message)
  }

  return (message) => {
    if (waiting.length === 0) setImmediate(flush)
    waiting.push(message)
  }
}

function joinJobs(messages: readonly ToEngine[]): ToEngine[] {
  const joined: ToEngine[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    if (message.kind === 'jobs' && last?.kind === 'jobs') {
      joined[joined.length - 1] = { kind: 'jobs', jobs: [...last.jobs, ...message.jobs] }
    } else joined.push(message)
  }
  return joined
}
