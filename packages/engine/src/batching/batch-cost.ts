/** How long a launch takes by its size: `fixedMs + perItemMs x size`, and what the slowest hundredth took on top. */
export interface CostFigures {
  fixedMs: number
  /** What fixedMs may well be: two standard errors more; Infinity where sizes were too alike to tell. */
  fixedMostMs: number
  perItemMs: number
  /** The 99th percentile of actual less predicted time, at least 0; 0 before there were launches. */
  p99OverMs: number
}

/** Learns what a launch costs from the launches there were. */
export interface CostModel {
  observe: (size: number, ms: number) => void
  /** Null before the first observation. */
  predict: (size: number) => number | null
  readonly figures: CostFigures | null
  /** Whether sizes differed too little of late for a and b to be told apart: a launch of another size would help. */
  readonly needsProbe: boolean
}

/** Each observation weighs so much less with each that follows: about the last 50 count, as in BentoML. */
const forgetting = 0.98
/** What the line known before weighs against the observations, in observations; next to nothing before there is one. */
const anchorWeight = 0.5
const noAnchorWeight = 1e-3
const anchorRate = 0.05
/** A run that is off by more than so many mean deviations counts as if it were off by just that. */
const clipAt = 4
const deviationRate = 0.05
const rememberedResiduals = 256
/** Sorting them is not worth its time after each launch. */
const launchesBetweenSorts = 16
/** The least spread of sizes (standard deviation by mean) from which a and b can be told apart under noise. */
const leastSpread = 0.1
const launchesBetweenProbes = 32

/**
 * Recursive least squares with exponential forgetting, in its information form (five decayed sums). Where
 * all batches have one size the sums say nothing of how a + b·n splits; there the split of before holds: the
 * line is drawn to an anchor, the last known line scaled to the speed of the moment.
 *
 * The first run of each size is left out, as allocations are made in it; those of `seed` are not first runs.
 */
export function createCostModel(seed: readonly { size: number; runMs: number }[] = []): CostModel {
  const seen = new Set<number>()
  const sums = { w: 0, n: 0, nn: 0, y: 0, ny: 0 }
  let anchor = { a: 1, b: 1 }
  let line: { a: number; b: number } | null = null
  let deviation: number | null = null
  let sinceProbe = 0
  const residuals: number[] = []
  let oldest = 0
  let p99 = 0
  let launches = 0

  const predict = (size: number): number | null => (line === null ? null : line.a + line.b * size)
  const spread = (): number => {
    const mean = sums.n / sums.w
    return Math.sqrt(Math.max(0, sums.nn / sums.w - mean ** 2)) / mean
  }

  /** Of a, by the ordinary formula for a line; from mean deviations, which are 0.8 standard deviations of a normal one. */
  const standardError = (): number => {
    const determinant = sums.w * sums.nn - sums.n ** 2
    if (deviation === null || determinant <= 1e-9 * sums.nn * sums.w) return Infinity
    return 1.25 * deviation * Math.sqrt(sums.nn / determinant)
  }

  function learn(size: number, ms: number, weight = anchorWeight): void {
    for (const key of ['w', 'n', 'nn', 'y', 'ny'] as const) sums[key] *= forgetting
    sums.w += 1
    sums.n += size
    sums.nn += size ** 2
    sums.y += ms
    sums.ny += size * ms
    const speed = sums.y / (anchor.a * sums.w + anchor.b * sums.n)
    const near = { a: speed * anchor.a, b: speed * anchor.b }
    // b is asked to stay as close as a is, in milliseconds at the mean size.
    const scale = (sums.n / sums.w) ** 2
    const [s11, s12, s22] = [sums.w + weight, sums.n, sums.nn + weight * scale]
    const [t1, t2] = [sums.y + weight * near.a, sums.ny + weight * scale * near.b]
    const determinant = s11 * s22 - s12 ** 2
    let a = (t1 * s22 - t2 * s12) / determinant
    let b = (t2 * s11 - t1 * s12) / determinant
    if (a < 0) [a, b] = [0, sums.ny / sums.nn]
    else if (b < 0) [a, b] = [sums.y / sums.w, 0]
    line = { a, b }
    anchor = { a: near.a + anchorRate * (a - near.a), b: near.b + anchorRate * (b - near.b) }
  }

  for (const { size, runMs } of seed) {
    seen.add(size)
    learn(size, runMs, noAnchorWeight)
  }
  if (line !== null) anchor = line

  return {
    observe(size, ms) {
      if (!seen.has(size)) {
        seen.add(size)
        // Better than nothing where nothing is known.
        if (line !== null) return
      }
      sinceProbe = spread() >= leastSpread ? 0 : sinceProbe + 1
      const predicted = predict(size)
      if (predicted === null) {
        learn(size, ms)
        return
      }
      const over = ms - predicted
      residuals[oldest] = over
      oldest = (oldest + 1) % rememberedResiduals
      if (launches % launchesBetweenSorts === 0) {
        p99 = Math.max(0, residuals.toSorted((x, y) => x - y)[Math.ceil(0.99 * residuals.length) - 1] ?? 0)
      }
      launches += 1
      // One run that was disturbed must not bend the line; a new speed widens the bound within some runs.
      const bound = clipAt * (deviation ?? predicted / clipAt)
      deviation = (deviation ?? predicted / clipAt) * (1 - deviationRate) + Math.abs(over) * deviationRate
      learn(size, predicted + Math.max(-bound, Math.min(bound, over)))
    },
    predict,
    get figures() {
      if (line === null) return null
      return { fixedMs: line.a, fixedMostMs: line.a + 2 * standardError(), perItemMs: line.b, p99OverMs: p99 }
    },
    get needsProbe() {
      return sinceProbe >= launchesBetweenProbes
    },
  }
}
