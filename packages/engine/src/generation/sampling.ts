/** How a token is chosen of the scores that the rules left, with the meaning and in the order of Hugging Face's warpers. */
export interface SamplingOptions {
  /** Scores are divided by it; 0: always the likeliest token, and the rest is not looked at. */
  temperature: number
  /** Of the likeliest tokens as many as together have this probability; 1: all. */
  topP: number
  /** The so many likeliest tokens, and others that are as likely as the last of them; 0: all. */
  topK: number
  /** No token of less than this part of the likeliest one's probability; 0: all. */
  minP: number
  /** A whole number from 0 to 2 ** 53 - 1. Equal seeds choose equal tokens, whoever shares the batch. */
  seed: number
  /** How many alternatives are told at each place beside the chosen token; null: no logprobs at all. */
  logprobs: number | null
}

/** The token of the highest score; of equals the first. Throws where one is no number, which only a broken model gives. */
export function likeliestToken(scores: Float32Array): number {
  let best = -1
  let highest = -Infinity
  for (let token = 0; token < scores.length; token += 1) {
    const score = scores[token] ?? 0
    if (score > highest) {
      best = token
      highest = score
    } else if (Number.isNaN(score)) throw new Error('a logit is not a number')
  }
  if (best < 0) throw new Error('every token is ruled out')
  return best
}

/** Chooses one of a row's tokens; `step` is its place in the answer, from 0. The scores stay as they are. */
export function sampleToken(scores: Float32Array, options: SamplingOptions, step: number): number {
  const likeliest = likeliestToken(scores)
  const { temperature, topP, topK, minP, seed } = options
  if (temperature === 0) return likeliest
  const highest = scores[likeliest] ?? 0
  const weightOf = (token: number): number => Math.exp(((scores[token] ?? -Infinity) - highest) / temperature)
  const luck = randomAt(seed, step)
  const lowest = topK > 0 && topK < scores.length ? nthHighest(scores, topK) : -Infinity
  const leastLikely = minP > 0 ? highest + temperature * Math.log(minP) : -Infinity
  if (topP < 1) {
    const kept = nucleus({ scores, lowest, highest, temperature, topP }, weightOf)
    return draw(
      kept.filter((token) => (scores[token] ?? -Infinity) >= leastLikely),
      weightOf,
      luck,
    )
  }
  return drawAbove(scores, Math.max(lowest, leastLikely), weightOf, luck) ?? likeliest
}

/** As many of the likeliest tokens, the likeliest first, as have the probability `topP` together. */
function nucleus(
  range: { scores: Float32Array; lowest: number; highest: number; temperature: number; topP: number },
  weightOf: (token: number) => number,
): number[] {
  const { scores, lowest, highest, temperature, topP } = range
  let total = 0
  for (let token = 0; token < scores.length; token += 1) {
    if ((scores[token] ?? -Infinity) >= lowest) total += weightOf(token)
  }
  // Few tokens have most of the probability: those are sorted alone, and more of them only where they have too little.
  for (const depth of [4, 8, 16, 32, Infinity]) {
    const from = Math.max(lowest, highest - depth * temperature)
    const found: number[] = []
    let mass = 0
    for (let token = 0; token < scores.length; token += 1) {
      const score = scores[token] ?? -Infinity
      if (score < from || score === -Infinity) continue
      found.push(token)
      mass += weightOf(token)
    }
    if (mass < topP * total && depth !== Infinity) continue
    found.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    let sum = 0
    const end = found.findIndex((token) => (sum += weightOf(token)) >= topP * total)
    return end < 0 ? found : found.slice(0, end + 1)
  }
  return []
}

function draw(tokens: readonly number[], weightOf: (token: number) => number, luck: number): number {
  const total = tokens.reduce((sum, token) => sum + weightOf(token), 0)
  let left = luck * total
  for (const token of tokens) {
    left -= weightOf(token)
    if (left < 0) return token
  }
  const last = tokens.at(-1)
  if (last === undefined) throw new Error('every token is ruled out')
  return last
}

/** As `draw`, of all tokens of at least this score, which need not be listed; null where rounding leaves none. */
function drawAbove(
  scores: Float32Array,
  lowest: number,
  weightOf: (token: number) => number,
  luck: number,
): number | null {
  let total = 0
  for (let token = 0; token < scores.length; token += 1) {
    if ((scores[token] ?? -Infinity) >= lowest) total += weightOf(token)
  }
  let left = luck * total
  for (let token = 0; token < scores.length; token += 1) {
    if ((scores[token] ?? -Infinity) < lowest) continue
    left -= weightOf(token)
    if (left < 0) return token
  }
  return null
}

/** The score of the token that comes at this place, from 1, by a heap of so many. */
export function nthHighest(scores: Float32Array, place: number): number {
  const heap = new Float32Array(place).fill(-Infinity)
  for (let token = 0; token < scores.length; token += 1) {
    const score = scores[token] ?? -Infinity
    if (score <= (heap[0] ?? -Infinity)) continue
    // The least of them is at the top: it goes, and the new one sinks to its place.
    let at = 0
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      if (left >= place) break
      const child = right < place && (heap[right] ?? 0) < (heap[left] ?? 0) ? right : left
      const below = heap[child] ?? Infinity
      if (below >= score) break
      heap[at] = below
      at = child
    }
    heap[at] = score
  }
  return heap[0] ?? -Infinity
}

const golden = 0x9e37_79b9_7f4a_7c15n

/**
 * A number from 0 to below 1: output number `step + 1` of SplitMix64 (Steele, Lea and Flood, 2014), begun with the seed.
 * It depends on nothing else, so that a retry, another batch or another engine choose alike.
 */
export function randomAt(seed: number, step: number): number {
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value)
  let mixed = wrap(BigInt(seed) + BigInt(step + 1) * golden)
  mixed = wrap((mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n)
  mixed = wrap((mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn)
  return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53
}
