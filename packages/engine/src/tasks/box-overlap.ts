import type { Box } from './image-place.ts'

/** What was found at a place, before it is known by its label's name. */
export interface Candidate {
  label: number
  score: number
  /** In the unit of its head. */
  box: Box
}

/** Area of what two boxes share by the area of both together (intersection over union), 0..1. */
export function overlapOf(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const shared = width * height
  return shared / (areaOf(a) + areaOf(b) - shared)
}

function areaOf({ xmin, ymin, xmax, ymax }: Box): number {
  return Math.max(0, xmax - xmin) * Math.max(0, ymax - ymin)
}

/** Candidates that are compared with each other: more of them are never objects, and comparing costs their square. */
const mostCompared = 2000

/**
 * Greedy non-maximum suppression: of candidates of one label that overlap by more than `threshold`, the best one stays.
 * Gives at most `most`, the best first.
 */
export function withoutOverlaps(candidates: readonly Candidate[], threshold: number, most: number): Candidate[] {
  const kept: Candidate[] = []
  for (const candidate of candidates.toSorted((a, b) => b.score - a.score).slice(0, mostCompared)) {
    if (kept.length === most) break
    const isSame = (other: Candidate): boolean =>
      other.label === candidate.label && overlapOf(other.box, candidate.box) > threshold
    if (!kept.some(isSame)) kept.push(candidate)
  }
  return kept
}
