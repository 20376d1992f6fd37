/** How likely the model itself took a token to be: from its scores as they are, before penalties, constraints and temperature. */
export interface TokenLogprob {
  token: number
  logprob: number
  /** The likeliest tokens at this place, the likeliest first; the chosen one may be among them or not. */
  alternatives: { token: number; logprob: number }[]
}

/** Logarithms of probabilities of a row of logits: of any token, and of the `count` likeliest. */
export function readLogprobs(logits: Float32Array, count: number): (token: number) => TokenLogprob {
  const log = logSumExp(logits)
  const own = logits.slice()
  const alternatives: { token: number; logprob: number }[] = []
  const looksAt = count === 0 ? 0 : logits.length
  for (let token = 0; token < looksAt; token += 1) {
    const logprob = (logits[token] ?? -Infinity) - log
    const last = alternatives[count - 1]
    if (last !== undefined && logprob <= last.logprob) continue
    let place = alternatives.length
    while (place > 0 && (alternatives[place - 1]?.logprob ?? Infinity) < logprob) place -= 1
    alternatives.splice(place, 0, { token, logprob })
    alternatives.length = Math.min(alternatives.length, count)
  }
  return (token) => ({ token, logprob: (own[token] ?? -Infinity) - log, alternatives })
}

/** What is taken off logits to make logarithms of probabilities. Throws where one is no number, which only a broken model gives. */
export function logSumExp(logits: Float32Array): number {
  let highest = -Infinity
  for (let token = 0; token < logits.length; token += 1) {
    const logit = logits[token] ?? 0
    if (logit > highest) highest = logit
    else if (Number.isNaN(logit)) throw new Error('a logit is not a number')
  }
  let sum = 0
  for (let token = 0; token < logits.length; token += 1) sum += Math.exp((logits[token] ?? 0) - highest)
  return highest + Math.log(sum)
}
