import { applyLogitsRules, type LogitsRules } from './logits-rules.ts'
import { likeliestToken } from './sampling.ts'
import type { Search } from './search.ts'

/** The likeliest token each time, until an end token or the longest length. */
export function createGreedySearch(begin: readonly number[], rules: LogitsRules): Search {
  const ids = [...begin]
  const generated: number[] = []
  return {
    advance([logits]) {
      if (logits === undefined) throw new Error('a sequence got no logits')
      // In place: nobody reads a step's logits again.
      applyLogitsRules(logits, ids, rules)
      const token = likeliestToken(logits)
      ids.push(token)
      generated.push(token)
      const finished = rules.endIds.includes(token) || ids.length >= rules.maxLength
      return finished ? { kind: 'finished', ids: generated } : { kind: 'going', parents: [0], tokens: [token] }
    },
    settledIds: generated,
  }
}
