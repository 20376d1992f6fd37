import type { Redis } from 'ioredis'

/**
 * Sends everything that is written to a connection within one turn of the event loop in one system call.
 * A write to a socket costs several times what building the command does, and under load one turn brings
 * the commands of many jobs. Nothing waits for more to come: the turn's end sends. Measured against one
 * write per command at 64 clients: about a tenth less CPU in API and consumer, a quarter less in Redis;
 * ioredis' own auto-pipelining, which wraps each command in a pipeline's promise, gained nothing.
 */
export function coalesceWrites(redis: Redis): void {
  redis.on('connect', () => {
    const { stream } = redis
    const { write } = stream
    let corked = false
    const uncork = (): void => {
      corked = false
      stream.uncork()
    }
    stream.write = (...args: unknown[]): boolean => {
      if (!corked) {
        corked = true
        stream.cork()
        setImmediate(uncork)
      }
      const more: unknown = Reflect.apply(write, stream, args)
      return more === true
    }
  })
}
