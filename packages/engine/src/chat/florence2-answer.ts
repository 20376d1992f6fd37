import type { Size } from '@vision-queue/models'

import type { Region } from './chat-family.ts'

/** What preprocessor_config.json says of a task's answers, where they name places (`tasks_answer_post_processing_type`). */
export const answerKinds = [
  'bboxes',
  'description_with_bboxes',
  'phrase_grounding',
  'ocr',
  'polygons',
  'description_with_polygons',
  'description_with_bboxes_or_polygons',
] as const
export type AnswerKind = (typeof answerKinds)[number]

/** Places are named by the numbers of so many bins on each axis. */
const bins = 1000
const piecePattern = /<loc_(?<bin>\d+)>|(?<separator><sep>|<\/?poly>)|<[^<>]*>|(?<words>[^<]+|<)/gu

/**
 * The places that an answer of Florence-2 names, in pixels of the upright original, as Hugging Face's
 * Florence2PostProcesser reads them: a label is followed by the numbers of one or more places, each the middle of its bin.
 * A place that breaks off, as where an answer was cut, is left out.
 */
export function readRegions(text: string, kind: AnswerKind, size: Size): Region[] {
  const isPolygon =
    kind === 'polygons' ||
    kind === 'description_with_polygons' ||
    (kind === 'description_with_bboxes_or_polygons' && text.includes('<poly>'))
  const regions: Region[] = []
  let label = ''
  let numbers: number[] = []
  const flush = (): void => {
    regions.push(...toRegions(label, numbers, { isPolygon, isQuad: kind === 'ocr' }, size))
    numbers = []
  }
  for (const { groups = {} } of text.matchAll(piecePattern)) {
    const { bin, separator, words } = groups
    if (bin !== undefined) numbers.push(Number(bin))
    else if (separator !== undefined) {
      flush()
      // Polygons in marks follow one label; its end is the end of what it names.
      if (separator === '</poly>') label = kind === 'description_with_bboxes_or_polygons' ? label : ''
    } else if (words !== undefined && words.trim() !== '') {
      flush()
      label = words.trim()
    }
  }
  flush()
  return regions
}

function toRegions(
  label: string,
  numbers: readonly number[],
  { isPolygon, isQuad }: { isPolygon: boolean; isQuad: boolean },
  { height, width }: Size,
): Region[] {
  const points: { x: number; y: number }[] = []
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    points.push({ x: pixelOf(numbers[at], width), y: pixelOf(numbers[at + 1], height) })
  }
  if (isPolygon) return points.length >= 3 ? [{ label, polygon: points }] : []
  const regions: Region[] = []
  const corners = isQuad ? 4 : 2
  for (let at = 0; at + corners <= points.length; at += corners) {
    const own = points.slice(at, at + corners)
    const [first, second] = own
    if (isQuad) regions.push({ label, polygon: own })
    else if (first !== undefined && second !== undefined) {
      regions.push({ label, box: { xmin: first.x, ymin: first.y, xmax: second.x, ymax: second.y } })
    }
  }
  return regions
}

function pixelOf(bin: number | undefined, edge: number): number {
  return (((bin ?? 0) + 0.5) * edge) / bins
}
