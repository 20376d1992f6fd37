import type { EngineChannel } from './engine.ts'

/**
 * The channel to the process that forked this one. SIGINT and SIGTERM are ignored from now on: a
 * terminal or a supervisor sends them to the whole group, and it is the parent who lets running
 * jobs finish and then ends its engines.
 */
export function parentChannel(): EngineChannel {
  const send = process.send?.bind(process)
  if (send === undefined) throw new Error('an engine is started by a pool, not by hand')
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  return {
    send: async (message) =>
      new Promise((resolve, reject) => {
        send(message, (error: Error | null) => {
          if (error === null) resolve()
          else reject(error)
        })
      }),
    onMessage(listener) {
      process.on('message', listener)
    },
    onDisconnect(listener) {
      process.on('disconnect', listener)
    },
  }
}
