import { logSumExp } from './token-logprobs.ts'

/**
 * What changes a decoder's scores before a token is chosen, with the meaning and in the order of
 * Hugging Face's logits processors. Ids are the whole sequence: start token, prompt and what was generated.
 */
export interface LogitsRules {
  /** Scores of tokens that occurred are divided by it (multiplied, where negative); 1: off. */
  repetitionPenalty: number
  /** Taken off the scores of tokens that were generated (OpenAI's meaning: the prompt does not count); 0: off. */
  presencePenalty: number
  /** The same, for each time that the token was generated. */
  frequencyPenalty: number
  /** No run of so many tokens occurs twice; 0: off. */
  noRepeatNgramSize: number
  /** The end token is out of the question before the sequence has so many ids. */
  minLength: number
  /** The sequence ends at so many ids. */
  maxLength: number
  /** How many ids the sequence begins with. */
  beginLength: number
  endIds: readonly number[]
  /** The token after a lone start token. */
  forcedFirstId: number | null
  /** The token at the last place. */
  forcedLastIds: readonly number[]
  suppressedIds: readonly number[]
  /** Only at the first generated place. */
  suppressedFirstIds: readonly number[]
}

type Scores = Float32Array | Float64Array

/** Applies the rules to one row of scores, in place. */
export function applyLogitsRules(scores: Scores, ids: readonly number[], rules: LogitsRules): void {
  const { repetitionPenalty, noRepeatNgramSize } = rules
  if (repetitionPenalty !== 1) {
    for (const id of new Set(ids)) {
      const score = scores[id]
      if (score !== undefined) scores[id] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty
    }
  }
  penalise(scores, ids, rules)
  if (noRepeatNgramSize > 0) rule(scores, repeatingIds(ids, noRepeatNgramSize))
  if (ids.length < rules.minLength) rule(scores, rules.endIds)
  if (rules.forcedFirstId !== null && ids.length === 1) force(scores, [rules.forcedFirstId])
  if (rules.forcedLastIds.length > 0 && ids.length === rules.maxLength - 1) force(scores, rules.forcedLastIds)
  rule(scores, rules.suppressedIds)
  if (ids.length === rules.beginLength) rule(scores, rules.suppressedFirstIds)
}

/** Logits to logarithms of probabilities. Throws where one is no number, which only a broken model gives. */
export function logSoftmax(logits: Float32Array): Float64Array {
  const log = logSumExp(logits)
  const scores = new Float64Array(logits.length)
  for (let token = 0; token < logits.length; token += 1) scores[token] = (logits[token] ?? 0) - log
  return scores
}

function penalise(scores: Scores, ids: readonly number[], rules: LogitsRules): void {
  const { presencePenalty, frequencyPenalty, beginLength } = rules
  if (presencePenalty === 0 && frequencyPenalty === 0) return
  const counts = new Map<number, number>()
  for (let at = beginLength; at < ids.length; at += 1) {
    const id = ids[at] ?? -1
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  for (const [id, count] of counts) {
    const score = scores[id]
    if (score !== undefined) scores[id] = score - presencePenalty - count * frequencyPenalty
  }
}

/** The tokens that would end an n-gram which the sequence has already. */
function repeatingIds(ids: readonly number[], size: number): number[] {
  const repeating: number[] = []
  const tail = ids.length - (size - 1)
  for (let start = 0; start + size <= ids.length; start += 1) {
    let at = 0
    while (at < size - 1 && ids[start + at] === ids[tail + at]) at += 1
    const last = ids[start + size - 1]
    if (at === size - 1 && last !== undefined) repeating.push(last)
  }
  return repeating
}

/** Rules tokens out. */
function rule(scores: Scores, ids: readonly number[]): void {
  for (const id of ids) if (id < scores.length) scores[id] = -Infinity
}

function force(scores: Scores, ids: readonly number[]): void {
  scores.fill(-Infinity)
  for (const id of ids) if (id < scores.length) scores[id] = 0
}
