import type { Cluster, Redis } from 'ioredis'

import type { Call } from './calls.ts'
import { advance, type Chain } from './chain.ts'
import type { PlainCommand } from './step.ts'
import { readReply, writeCall } from './turn-call.ts'
import type { TurnScript, TurnScripts } from './turn-script.ts'

/** Writes calls to a connection, and tells the chains what came of them. */
export interface Sender {
  /** What `write` sends goes to the socket in one piece. */
  together(write: () => void): void
  /** Sends the commands that go in front of the chain; an error of one rejects the chain. */
  sendBefore(chain: Chain): void
  /** Resolves when all the commands are done. */
  runBefore(commands: readonly PlainCommand[]): Promise<void>
  /** Resolves to the chains that go on, on another node. Never rejects: the chains do. */
  send(call: Call): Promise<Chain[]>
}

export function createSender(redis: Redis | Cluster, scripts: TurnScripts): Sender {
  const runPlain = async ([command, ...args]: PlainCommand): Promise<unknown> => redis.call(command, args)

  const evaluate = async ({ lua, sha }: TurnScript, args: (string | number | Buffer)[]): Promise<unknown> => {
    try {
      return await redis.call('EVALSHA', [sha, ...args])
    } catch (error) {
      // Redis was restarted, or another one has taken over.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return redis.call('EVAL', [lua, ...args])
    }
  }

  const send = async (call: Call): Promise<Chain[]> => {
    const { chains, steps, whenFull } = call
    try {
      const parts = chains.map((chain, index) => ({ steps: steps[index] ?? [], carry: chain.carry }))
      const script = whenFull ? scripts.allowedWhenFull : scripts.refusedWhenFull
      const outcomes = readReply(await evaluate(script, writeCall(parts, scripts)), chains.length)
      if (outcomes === null) return await sendOneByOne(call)
      return chains.filter((chain, index) => {
        const outcome = outcomes[index]
        return outcome !== undefined && advance(chain, steps[index]?.length ?? 0, outcome)
      })
    } catch (error) {
      for (const chain of chains) chain.reject(error)
      return []
    }
  }

  const sendOneByOne = async ({ chains, steps }: Call): Promise<Chain[]> => {
    const alone = chains.map(async (chain, index) =>
      send({ whenFull: chain.whenFull, chains: [chain], steps: [steps[index] ?? []] }),
    )
    return (await Promise.all(alone)).flat()
  }

  return {
    together(write) {
      const stream = 'stream' in redis ? redis.stream : undefined
      stream?.cork()
      write()
      stream?.uncork()
    },
    sendBefore(chain) {
      // Redis answers in order, so the chain is rejected before the reply of its script is read.
      for (const command of chain.before) runPlain(command).catch(chain.reject)
      chain.before = []
    },
    async runBefore(commands) {
      await Promise.all(commands.map(runPlain))
    },
    send,
  }
}
