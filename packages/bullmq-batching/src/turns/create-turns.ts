import type { Cluster, Redis } from 'ioredis'

import { type Call, intoCalls } from './calls.ts'
import { type Chain, made } from './chain.ts'
import { createSender } from './sender.ts'
import type { RunOptions, Step, StepSources } from './step.ts'
import { buildTurnScripts } from './turn-script.ts'
import { Watchers } from './watchers.ts'

/** Sends chains of steps to Redis: all that one turn of the event loop asks for in one script call. */
export interface Turns {
  /**
   * Runs the steps in order, in one call where all their keys are on one node; nothing else happens in Redis between
   * the steps of one call. Steps given as a function are made when the call is written. Resolves to the replies of the
   * steps that ran: fewer than steps where one of them ended the chain. Rejects with the error of the step that failed;
   * the other chains of the turn go on. What a chain wrote before it failed stays, as in any script of Redis.
   */
  run(steps: readonly Step[] | (() => readonly Step[]), options?: RunOptions): Promise<unknown[]>
  /**
   * Calls `listener` when a call that has such a step on such a first key is about to be written: what it runs then
   * travels with that. Returns what ends it.
   */
  watch?(name: string, key: string, listener: () => void): () => void
}

export interface TurnsOptions {
  /**
   * Chains in one script call, which no other command can interrupt: at 200, a few milliseconds. The rest of a turn
   * goes in further calls of the same write. Default: 200.
   */
  readonly mostChains?: number
  /**
   * Calls under way at which what arrives waits for a reply of theirs, and so travels together. Infinity: nothing
   * waits, each turn of the event loop is sent at its end. Default: Infinity.
   */
  readonly mostCalls?: number
  /** How long a chain waits for that at most, in milliseconds. Default: 5. */
  readonly mostWaitMs?: number
}

/** Turns on a connection of ioredis. `sources` has all the steps that chains name. */
export function createTurns(redis: Redis | Cluster, sources: StepSources, options: TurnsOptions = {}): Turns {
  const { mostChains = 200, mostCalls = Number.POSITIVE_INFINITY, mostWaitMs = 5 } = options
  const scripts = buildTurnScripts(sources)
  const sender = createSender(redis, scripts)
  const watchers = new Watchers()
  let waiting: Chain[] = []
  let scheduled = false
  let underWay = 0
  let longestWait: NodeJS.Timeout | null = null

  const send = async (call: Call): Promise<void> => {
    underWay += 1
    const unfinished = await sender.send(call)
    underWay -= 1
    for (const chain of unfinished) waiting.push(chain)
    schedule()
  }

  const flush = (): void => {
    scheduled = false
    if (longestWait !== null) clearTimeout(longestWait)
    longestWait = null
    const chains = made(waiting, scripts.check)
    waiting = []
    if (watchers.size > 0) {
      watchers.tell(intoCalls(chains, redis.isCluster, mostChains))
      chains.push(...made(waiting, scripts.check))
      waiting = []
    }
    sender.together(() => {
      for (const chain of chains) sender.sendBefore(chain)
      for (const call of intoCalls(chains, redis.isCluster, mostChains)) {
        void send(call)
      }
    })
  }

  const schedule = (): void => {
    if (scheduled || waiting.length === 0) return
    if (underWay >= mostCalls && waiting.length < mostChains) {
      longestWait ??= setTimeout(flush, mostWaitMs)
      return
    }
    scheduled = true
    setImmediate(flush)
  }

  return {
    async run(steps, { whenFull = false, before = [], last = false } = {}) {
      const make = typeof steps === 'function' ? steps : () => steps
      // Nodes of a Cluster have connections of their own, so that only waiting keeps the order.
      if (redis.isCluster && before.length > 0) await sender.runBefore(before)
      return new Promise((resolve, reject) => {
        const rest = redis.isCluster ? [] : before
        waiting.push({ steps: [], make, before: rest, whenFull, last, carry: null, replies: [], resolve, reject })
        schedule()
      })
    },
    watch: (name, key, listener) => watchers.add(name, key, listener),
  }
}
