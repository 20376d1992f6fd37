import { applyLogitsRules, type LogitsRules } from './logits-rules.ts'
import { sampleToken, type SamplingOptions } from './sampling.ts'
import type { TokenConstraint } from './token-constraint.ts'
import { readLogprobs, type TokenLogprob } from './token-logprobs.ts'

/** One sequence's tokens, chosen one at a time. */
export interface TokenSearch {
  /** Chooses the next token; the logits are changed. Whether the sequence ends with it, and why; null: it goes on. */
  advance: (logits: Float32Array) => 'stop' | 'length' | null
  /** The generated ids, an end token included. */
  readonly generated: readonly number[]
  /** One for each of them; null where none are asked for. */
  readonly logprobs: TokenLogprob[] | null
}

export interface TokenSearchOptions {
  prompt: readonly number[]
  rules: LogitsRules
  sampling: SamplingOptions
  constraint: TokenConstraint | null
}

/** Rules, then the constraint, then sampling; with a constraint, no rule that could leave no token at all. */
export function createTokenSearch({ prompt, rules, sampling, constraint }: TokenSearchOptions): TokenSearch {
  const ids = [...prompt]
  const generated: number[] = []
  const logprobs: TokenLogprob[] | null = sampling.logprobs === null ? null : []
  const applied: LogitsRules =
    constraint === null
      ? rules
      : { ...rules, noRepeatNgramSize: 0, minLength: 0, forcedFirstId: null, forcedLastIds: [] }
  return {
    advance(logits) {
      const toLogprob = sampling.logprobs === null ? null : readLogprobs(logits, sampling.logprobs)
      applyLogitsRules(logits, ids, applied)
      constraint?.mask(logits)
      const token = sampleToken(logits, sampling, generated.length)
      ids.push(token)
      generated.push(token)
      if (toLogprob !== null) logprobs?.push(toLogprob(token))
      if (rules.endIds.includes(token)) return 'stop'
      constraint?.accept(token)
      if (constraint?.complete === true) return 'stop'
      return ids.length >= rules.maxLength ? 'length' : null
    },
    generated,
    logprobs,
  }
}
