/** In pixels. */
export interface Box {
  xmin: number
  ymin: number
  xmax: number
  ymax: number
}
export interface Placed {
  label: string
  box: Box
}
export interface Found extends Placed {
  score: number
}
/** What was found in a picture, and what there is. */
export interface Judged {
  found: readonly Found[]
  truth: readonly Placed[]
}

const areaOf = ({ xmin, ymin, xmax, ymax }: Box): number => (xmax - xmin) * (ymax - ymin)

/** Intersection over union. */
export function overlapOf(a: Box, b: Box): number {
  const across = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const down = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (across <= 0 || down <= 0) return 0
  return (across * down) / (areaOf(a) + areaOf(b) - across * down)
}

/**
 * The area under the curve of precision over recall, where precision is the best at that recall or beyond (PASCAL VOC
 * since 2010). A find is right where the object that it overlaps most, by `least` at least, has no surer find.
 */
function averagePrecision(pictures: readonly Judged[], label: string, least: number): number {
  const truths = pictures.map(({ truth }) => truth.filter((object) => object.label === label))
  const count = truths.reduce((sum, { length }) => sum + length, 0)
  const finds = pictures
    .flatMap(({ found }, picture) => found.filter((find) => find.label === label).map((find) => ({ find, picture })))
    .toSorted((a, b) => b.find.score - a.find.score)
  const taken = new Set<Placed>()
  const curve = finds.map(({ find, picture }, index) => {
    const objects = (truths[picture] ?? []).map((object) => ({ object, overlap: overlapOf(object.box, find.box) }))
    const [best] = objects.toSorted((a, b) => b.overlap - a.overlap)
    if (best !== undefined && best.overlap >= least) taken.add(best.object)
    return { recall: taken.size / count, precision: taken.size / (index + 1) }
  })
  let [area, precision] = [0, 0]
  for (const [index, point] of [...curve.entries()].toReversed()) {
    precision = Math.max(precision, point.precision)
    area += (point.recall - (curve[index - 1]?.recall ?? 0)) * precision
  }
  return area
}

/** By label, of those that the pictures show, and their mean as `all`: mAP at an overlap of `least`. */
export function meanAveragePrecision(pictures: readonly Judged[], least = 0.5): Map<string, number> {
  const labels = [...new Set(pictures.flatMap(({ truth }) => truth.map(({ label }) => label)))].toSorted()
  const table = new Map(labels.map((label) => [label, averagePrecision(pictures, label, least)]))
  const mean = [...table.values()].reduce((sum, value) => sum + value, 0) / table.size
  return new Map([['all', mean], ...table])
}
