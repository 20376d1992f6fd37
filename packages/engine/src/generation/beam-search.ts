import { applyLogitsRules, logSoftmax, type LogitsRules } from './logits-rules.ts'
import type { Search } from './search.ts'

export interface BeamOptions {
  /** How many unfinished sequences are followed, and how many finished ones are kept. */
  numBeams: number
  /** A finished sequence's score is its log-probability / generated tokens ** this: above 0 long ones gain. */
  lengthPenalty: number
  /** True: the search ends as soon as `numBeams` are finished; false: once no unfinished one can become better. */
  earlyStopping: boolean
}

interface Beam {
  ids: readonly number[]
  /** Sum of the log-probabilities of its tokens. */
  total: number
}

interface Candidate {
  total: number
  row: number
  token: number
}

/**
 * Beam search as Hugging Face's `generate` does it: each step looks at the best `(1 + end tokens, at
 * least 2) * numBeams` continuations; ends among the first `numBeams` finish, the best others go on.
 * The first step has one row, whose continuations become the beams.
 */
export function createBeamSearch(begin: readonly number[], rules: LogitsRules, options: BeamOptions): Search {
  const { numBeams, lengthPenalty, earlyStopping } = options
  const looksAt = Math.max(2, 1 + rules.endIds.length) * numBeams
  const hypotheses: { ids: readonly number[]; score: number }[] = []
  let beams: Beam[] = [{ ids: begin, total: 0 }]

  function keep(ids: readonly number[], total: number): void {
    hypotheses.push({ ids, score: total / (ids.length - begin.length) ** lengthPenalty })
    // Stable: of equals the earlier one stays.
    hypotheses.sort((a, b) => b.score - a.score)
    hypotheses.length = Math.min(hypotheses.length, numBeams)
  }

  function isDone(best: number, length: number): boolean {
    const worst = hypotheses.at(-1)
    if (worst === undefined || hypotheses.length < numBeams) return false
    return earlyStopping || worst.score >= best / length ** lengthPenalty
  }

  return {
    settledIds: [],
    advance(logits) {
      const candidates = bestContinuations(logits, beams, rules, looksAt)
      const next: { parent: number; token: number; beam: Beam }[] = []
      for (const [rank, { row, token, total }] of candidates.entries()) {
        const ids = [...(beams[row]?.ids ?? []), token]
        if (rules.endIds.includes(token)) {
          if (rank < numBeams) keep(ids, total)
        } else if (next.length < numBeams) {
          next.push({ parent: row, token, beam: { ids, total } })
        }
      }
      const [best] = candidates
      const [first] = next
      if (best === undefined) throw new Error('every token is ruled out')
      if (first !== undefined) {
        const length = first.beam.ids.length
        if (!isDone(best.total, length - begin.length) && length < rules.maxLength) {
          beams = next.map(({ beam }) => beam)
          return { kind: 'going', parents: next.map(({ parent }) => parent), tokens: next.map(({ token }) => token) }
        }
        if (!isDone(best.total, length - begin.length)) for (const { beam } of next) keep(beam.ids, beam.total)
      }
      const [winner] = hypotheses
      if (winner === undefined) throw new Error('no sequence was finished')
      return { kind: 'finished', ids: winner.ids.slice(begin.length) }
    },
  }
}

/** The best continuations of all beams, best first; of equals the one that comes first. */
function bestContinuations(
  logits: readonly Float32Array[],
  beams: readonly Beam[],
  rules: LogitsRules,
  count: number,
): Candidate[] {
  if (logits.length !== beams.length) throw new Error(`${beams.length} beams got ${logits.length} rows of logits`)
  const best: Candidate[] = []
  for (const [row, { ids, total }] of beams.entries()) {
    const scores = logSoftmax(logits[row] ?? new Float32Array())
    applyLogitsRules(scores, ids, rules)
    for (let token = 0; token < scores.length; token += 1) {
      const sum = total + (scores[token] ?? -Infinity)
      const last = best[count - 1]
      if (sum === -Infinity || (last !== undefined && sum <= last.total)) continue
      let place = best.length
      while (place > 0 && (best[place - 1]?.total ?? Infinity) < sum) place -= 1
      best.splice(place, 0, { total: sum, row, token })
      best.length = Math.min(best.length, count)
    }
  }
  return best
}
