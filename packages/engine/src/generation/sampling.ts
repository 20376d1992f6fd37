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
  const lowest = topK > 0 && topK < scores.length ? nthHighest(scores, topK) : -Infinity
  const weights = weigh(scores, { lowest, highest, temperature })
  const luck = randomAt(seed, step)
  if (topP >= 1) return drawAny(weights, minP, luck) ?? likeliest
  const kept = nucleus(weights, topP).filter((token) => (weights[token] ?? 0) >= minP)
  let left = luck * kept.reduce((sum, token) => sum + (weights[token] ?? 0), 0)
  for (const token of kept) {
    left -= weights[token] ?? 0
    if (left < 0) return token
  }
  return likeliest
}

/** Used again at every step, as it is as long as the vocabulary; nothing reads it after the step. */
let memory = new Float64Array()

/** By token its probability as a part of the likeliest one's; 0 below the lowest score. */
function weigh(
  scores: Float32Array,
  { lowest, highest, temperature }: { lowest: number; highest: number; temperature: number },
): Float64Array {
  if (memory.length < scores.length) memory = new Float64Array(scores.length)
  const weights = memory.subarray(0, scores.length)
  for (let token = 0; token < scores.length; token += 1) {
    const score = scores[token] ?? -Infinity
    weights[token] = score >= lowest ? Math.exp((score - highest) / temperature) : 0
  }
  return weights
}

/** As many of the likeliest tokens, the likeliest first, as have the probability `topP` together. */
function nucleus(weights: Float64Array, topP: number): number[] {
  let total = 0
  for (let token = 0; token < weights.length; token += 1) total += weights[token] ?? 0
  // Few tokens have most of the probability: those are sorted alone, and more of them only where they have too little.
  for (const least of [1e-2, 1e-4, 1e-8, 0]) {
    const found: number[] = []
    let mass = 0
    for (let token = 0; token < weights.length; token += 1) {
      const weight = weights[token] ?? 0
      if (weight <= least) continue
      found.push(token)
      mass += weight
    }
    if (mass < topP * total && least > 0) continue
    found.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
    let sum = 0
    const end = found.findIndex((token) => (sum += weights[token] ?? 0) >= topP * total)
    return end < 0 ? found : found.slice(0, end + 1)
  }
  return []
}

/** One of all tokens that weigh at least so much; null where rounding leaves none. */
function drawAny(weights: Float64Array, least: number, luck: number): number | null {
  let total = 0
  for (let token = 0; token < weights.length; token += 1) {
    const weight = weights[token] ?? 0
    if (weight >= least) total += weight
  }
  let left = luck * total
  for (let token = 0; token < weights.length; token += 1) {
    const weight = weights[token] ?? 0
    if (weight < least || weight === 0) continue
    left -= weight
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
