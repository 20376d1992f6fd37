import type { PlainCommand, Step } from './step.ts'
import type { ChainOutcome } from './turn-call.ts'

/** A chain on its way: what is left to run, and what came of the rest. */
export interface Chain {
  steps: readonly Step[]
  /** Makes `steps` when the chain is sent first. */
  make: (() => readonly Step[]) | null
  /** Sent in front of the call that has the chain's first steps. */
  before: readonly PlainCommand[]
  readonly whenFull: boolean
  readonly last: boolean
  carry: string | null
  readonly replies: unknown[]
  readonly resolve: (replies: unknown[]) => void
  readonly reject: (error: unknown) => void
}

/** Takes in what a call did with the chain's first steps. True: steps are left to run, on another node. */
export function advance(chain: Chain, sent: number, outcome: ChainOutcome): boolean {
  if (outcome.kind === 'failed') {
    chain.reject(outcome.error)
    return false
  }
  chain.replies.push(...outcome.replies)
  chain.carry = outcome.carry
  chain.steps = chain.steps.slice(sent)
  if (!outcome.stopped && chain.steps.length > 0) return true
  chain.resolve(chain.replies)
  return false
}

/** Makes the steps of new chains. Returns the chains that have some; `check` throws at a step that can't be sent. */
export function made(chains: readonly Chain[], check: (step: Step) => void): Chain[] {
  return chains.filter((chain) => {
    if (chain.make === null) return true
    try {
      chain.steps = chain.make()
      chain.make = null
      for (const step of chain.steps) check(step)
    } catch (error) {
      chain.reject(error)
      return false
    }
    if (chain.steps.length === 0) chain.resolve([])
    return chain.steps.length > 0
  })
}
