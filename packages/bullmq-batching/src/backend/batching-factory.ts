import { type BackendFactory, createRedisBackend } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'

import { queueSteps } from '../steps/queue-steps.ts'
import { createTurns, type Turns } from '../turns/create-turns.ts'
import type { BackendParts, FinishingOptions } from './backend-parts.ts'
import { BatchingBackend } from './batching-backend.ts'

export interface BatchingOptions extends FinishingOptions {
  /**
   * Turns whose sources have `queueSteps` and the steps of `finishing`, so that the caller's own chains and BullMQ's
   * travel together. Default: turns of BullMQ's connection, one for all Queues and Workers that share it.
   */
  readonly turns?: Turns
  /**
   * The turns by which jobs are added to a Worker's queue in its own process, where those are another connection's. While
   * the Worker has places free, such a job is taken by the call that adds it. Default: `turns`.
   */
  readonly adds?: Turns | undefined
  /** Writes BullMQ's event stream, which QueueEvents and `waitUntilFinished` read. Default: false. */
  readonly events?: boolean
}

/**
 * What a Queue, a Worker or a FlowProducer of BullMQ takes as its last argument to work with the batching backend. It
 * needs ioredis and Redis 7.0 or later, or Valkey.
 */
export function batchingBackend(options: BatchingOptions = {}): BackendFactory<BatchingBackend> {
  const { events = false, adds, ...finishing } = options
  return (name, queueOptions, connections) => {
    const plain = createRedisBackend(name, queueOptions, connections)
    // It only lends its connections; their errors are told by the batching backend.
    plain.on('error', () => {})
    const turns = options.turns ?? turnsOf(async () => plain.connection.client)
    const workerOptions: BackendParts['options'] = queueOptions
    return new BatchingBackend({
      ...finishing,
      plain,
      name,
      options: workerOptions,
      turns,
      adds: adds ?? turns,
      events,
    })
  }
}

/** Turns by connection. */
const known = new WeakMap<object, Turns>()

/** Turns of a connection that is asked for when it is needed first. */
function turnsOf(connect: () => Promise<unknown>): Turns {
  let turns: Turns | null = null
  const open = async (): Promise<Turns> => {
    const client = await connect()
    if (!isIoredis(client)) throw new Error('The batching backend works with connections of ioredis only')
    const shared = known.get(client) ?? createTurns(client, queueSteps)
    known.set(client, shared)
    return shared
  }
  return {
    async run(steps, runOptions) {
      turns ??= await open()
      return turns.run(steps, runOptions)
    },
    watch(name, key, listener) {
      let closed = false
      let unwatch = (): void => {}
      const start = async (): Promise<void> => {
        const opened = await open()
        if (!closed) unwatch = opened.watch?.(name, key, listener) ?? unwatch
      }
      // Without a connection nothing is added either.
      start().catch(() => {})
      return () => {
        closed = true
        unwatch()
      }
    },
  }
}

function isIoredis(client: unknown): client is Redis | Cluster {
  return typeof client === 'object' && client !== null && 'call' in client && 'isCluster' in client
}
