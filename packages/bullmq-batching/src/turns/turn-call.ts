import type { Step } from './step.ts'
import type { TurnScripts } from './turn-script.ts'

/** What one chain does in one call. */
export interface ChainPart {
  readonly steps: readonly Step[]
  readonly carry: string | null
}

/** What became of one chain in one call. */
export type ChainOutcome =
  | {
      readonly kind: 'ran'
      readonly stopped: boolean
      readonly replies: readonly unknown[]
      readonly carry: string | null
    }
  | { readonly kind: 'failed'; readonly error: Error }

/**
 * The arguments of one script call behind the script's hash: the number of keys, the keys, and as the first argument
 * the plan: of each chain by turns a step's number, where its keys are, and how many arguments it has. A key that
 * several steps name is sent once.
 */
export function writeCall(parts: readonly ChainPart[], scripts: TurnScripts): (string | number | Buffer)[] {
  const places = new Map<string, number>()
  const args: (string | number | Buffer)[] = []
  const chains = parts.map(({ steps }) => {
    const plan: (number | number[])[] = []
    for (const step of steps) {
      const where = step.keys.map((key) => {
        const known = places.get(key)
        if (known !== undefined) return known
        const place = places.size + 1
        places.set(key, place)
        return place
      })
      plan.push(scripts.numberOf(step.name), where, step.args.length)
      for (const arg of step.args) args.push(arg)
    }
    return plan
  })
  const plan = JSON.stringify([chains, parts.map(({ carry }) => carry)])
  return [places.size, ...places.keys(), plan, ...args]
}

/** Reads what the script returned. Null: memory is full, and each chain is to be sent in a call of its own. */
export function readReply(reply: unknown, chains: number): ChainOutcome[] | null {
  if (reply === 'full') return null
  if (!Array.isArray(reply) || reply.length !== chains) throw new Error('Redis answered a turn with something else')
  return reply.map(readOutcome)
}

function readOutcome(reply: unknown): ChainOutcome {
  const parts: unknown[] = Array.isArray(reply) ? reply : []
  const [first, replies, carry] = parts
  if (first instanceof Error) return { kind: 'failed', error: first }
  if (!Array.isArray(replies)) throw new Error('Redis answered a chain with something else')
  return { kind: 'ran', stopped: first === 1, replies, carry: typeof carry === 'string' ? carry : null }
}
