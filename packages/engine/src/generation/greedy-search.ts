import { applyLogitsRules, type LogitsRules } from './logits-rules.ts'
import type { Search } from './search.ts'

/** The likeliest token each time, until an end token or the longest length. */
export function createGreedySearch(begin: readonly number[], rules: LogitsRules): Search {
  const ids = [...begin]
  const generated: number[] = []
  return {
    advance([logits]) {
      if (logits === undefined) throw new Error('a sequence got no logits')
      const scores = Float64Array.from(logits)
      applyLogitsRules(scores, ids, rules)
      const token = likeliest(scores)
      ids.push(token)
      generated.push(token)
      const finished = rules.endIds.includes(token) || ids.length >= rules.maxLength
      return finished ? { kind: 'finished', ids: generated } : { kind: 'going', parents: [0], tokens: [token] }
    },
    settledIds: generated,
  }
}

function likeliest(scores: Float64Array): number {
  let best = 0
  let highest = -Infinity
  for (const [token, score] of scores.entries()) {
    if (Number.isNaN(score)) throw new Error('a logit is not a number')
    if (score > highest) {
      best = token
      highest = score
    }
  }
  if (highest === -Infinity) throw new Error('every token is ruled out')
  return best
}
