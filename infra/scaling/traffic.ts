import { seededRandom } from '@vision-queue/test-support/seeded-random'

/** Seconds of a day. */
export const daySeconds = 86_400

/** How busy each full hour is, of the busiest: a night, a steep morning, lunch, and an evening above all of it. */
const hours = [14, 9, 7, 6, 6, 8, 14, 28, 48, 62, 66, 64, 56, 60, 64, 62, 60, 64, 74, 88, 100, 92, 60, 30]

export interface Traffic {
  jobsADay: number
  /** Of the busiest second's rate over the day's mean, before the burst. Shapes the curve between flat and the hours above. */
  peakOverMean: number
  /** For so many seconds from 15:00 on the rate is multiplied, from one second to the next. */
  burst: { factor: number; seconds: number }
}

/** The jobs that are expected to come in each second of a day. */
export function expectedJobs({ jobsADay, peakOverMean, burst }: Traffic): number[] {
  const shape = Array.from({ length: daySeconds }, (_, second) => shapeAt(second))
  const mean = shape.reduce((sum, value) => sum + value, 0) / daySeconds
  const peak = Math.max(...hours)
  // A power of the curve makes its peak steeper or flatter: the one is looked for that has the wanted ratio.
  let [low, high] = [0, 8]
  for (let round = 0; round < 40; round += 1) {
    const power = (low + high) / 2
    const ratio = peak ** power / (shape.reduce((sum, value) => sum + value ** power, 0) / daySeconds)
    if (ratio < peakOverMean) low = power
    else high = power
  }
  const steep = shape.map((value) => (value / mean) ** low)
  const steepSum = steep.reduce((sum, value) => sum + value, 0)
  const burstFrom = 15 * 3600
  return steep.map((value, second) => {
    const inBurst = second >= burstFrom && second < burstFrom + burst.seconds
    return (value / steepSum) * jobsADay * (inBurst ? burst.factor : 1)
  })
}

/** Between two hours by a straight line. */
function shapeAt(second: number): number {
  const hour = Math.floor(second / 3600)
  const [from = 0, to = 0] = [hours[hour], hours[(hour + 1) % hours.length]]
  return from + (to - from) * ((second % 3600) / 3600)
}

/** What comes of what is expected: a Poisson process, the same in every run of a seed. */
export function arrivals(expected: readonly number[], seed: number): number[] {
  const random = seededRandom(seed)
  return expected.map((mean) => poisson(mean, random))
}

function poisson(mean: number, random: () => number): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal))
  }
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = random(); product > limit; product *= random()) count += 1
  return count
}
