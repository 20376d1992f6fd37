/** Pixels. */
export interface Size {
  height: number
  width: number
}

/**
 * How large an image becomes. `fill`: exactly this, whatever the proportions. All others keep the proportions, as nearly
 * as their rounding does:
 * `cover`: the shorter edge becomes this;
 * `edges`: the shorter edge becomes `shortest`, unless the longer one would be over `longest`;
 * `divided-edges`: the same, and then both are cut down to multiples of `divisor`;
 * `within`: as large as fits into this;
 * `line`: the height becomes this and the width follows, a multiple of `multipleOf` and no wider than this, as of lines of text;
 * `longest`: the longer edge becomes `longest`;
 * `thumbnail`: the shorter edge becomes that of this, and then it is shrunk until it fits;
 * `multiple`: the edge that has to change less becomes that of this, and both multiples of `multipleOf`;
 * `divided`: it stays as it is, but for being cut down to multiples of `divisor`;
 * `pixels`: both edges become multiples of `factor`, and their product lies between the bounds.
 */
export type Resize =
  | (Size & { fit: 'fill' | 'cover' | 'within' | 'thumbnail' })
  | { fit: 'edges'; shortest: number; longest: number }
  | { fit: 'divided-edges'; shortest: number; longest: number; divisor: number }
  | { fit: 'longest'; longest: number }
  | (Size & { fit: 'multiple'; multipleOf: number })
  | (Size & { fit: 'line'; multipleOf: number })
  | { fit: 'divided'; divisor: number }
  | { fit: 'pixels'; factor: number; minPixels: number; maxPixels: number }

/** The size that an image gets by a rule, rounded as Hugging Face's processors do. At least one pixel each way. */
export function resizedSize(resize: Resize, image: Size): Size {
  const { height, width } = ruled(resize, image)
  return { height: Math.max(1, height), width: Math.max(1, width) }
}

function ruled(resize: Resize, image: Size): Size {
  switch (resize.fit) {
    case 'fill':
      return { height: resize.height, width: resize.width }
    case 'cover':
      return byShorter(image, Math.max(resize.height, resize.width))
    case 'edges':
      return byEdges(image, resize)
    case 'divided-edges':
      return byDividedEdges(image, resize)
    case 'within': {
      const scale = Math.min(resize.height / image.height, resize.width / image.width)
      return { height: Math.floor(image.height * scale), width: Math.floor(image.width * scale) }
    }
    case 'line': {
      const { multipleOf } = resize
      const width = nearestMultiple((image.width * resize.height) / image.height, multipleOf)
      return { height: resize.height, width: Math.min(resize.width, Math.max(multipleOf, width)) }
    }
    case 'longest': {
      const scale = resize.longest / Math.max(image.height, image.width)
      return { height: Math.floor(image.height * scale + 0.5), width: Math.floor(image.width * scale + 0.5) }
    }
    case 'thumbnail':
      return thumbnail(byShorter(image, Math.min(resize.height, resize.width)), resize)
    case 'multiple': {
      const [byHeight, byWidth] = [resize.height / image.height, resize.width / image.width]
      const scale = Math.abs(1 - byWidth) < Math.abs(1 - byHeight) ? byWidth : byHeight
      const { multipleOf } = resize
      return {
        height: nearestMultiple(scale * image.height, multipleOf),
        width: nearestMultiple(scale * image.width, multipleOf),
      }
    }
    case 'divided':
      return { height: cutDown(image.height, resize.divisor), width: cutDown(image.width, resize.divisor) }
    case 'pixels':
      return byPixels(image, resize)
    default:
      return resize satisfies never
  }
}

function byShorter(image: Size, edge: number): Size {
  return image.width <= image.height
    ? { width: edge, height: Math.floor((edge * image.height) / image.width) }
    : { width: Math.floor((edge * image.width) / image.height), height: edge }
}

/** DETR's rule: where the longer edge counts, the shorter one is rounded first, and the longer one computed from what it was before. */
function byEdges(image: Size, { shortest, longest }: { shortest: number; longest: number }): Size {
  const [short, long] = [Math.min(image.height, image.width), Math.max(image.height, image.width)]
  const exact = (long / short) * shortest > longest ? (longest * short) / long : shortest
  const edge = roundEven(exact)
  if (short === edge) return { ...image }
  return image.width < image.height
    ? { width: edge, height: Math.floor((exact * image.height) / image.width) }
    : { width: Math.floor((exact * image.width) / image.height), height: edge }
}

/** ViLT's. */
function byDividedEdges(
  image: Size,
  { shortest, longest, divisor }: { shortest: number; longest: number; divisor: number },
): Size {
  const scale = shortest / Math.min(image.height, image.width)
  let [height, width] = image.height < image.width ? [shortest, scale * image.width] : [scale * image.height, shortest]
  if (Math.max(height, width) > longest) {
    const less = longest / Math.max(height, width)
    ;[height, width] = [less * height, less * width]
  }
  return { height: cutDown(Math.floor(height + 0.5), divisor), width: cutDown(Math.floor(width + 0.5), divisor) }
}

function thumbnail(image: Size, box: Size): Size {
  const [height, width] = [Math.min(image.height, box.height), Math.min(image.width, box.width)]
  if (height === image.height && width === image.width) return image
  if (image.height > image.width) return { height, width: Math.floor((image.width * height) / image.height) }
  if (image.width > image.height) return { height: Math.floor((image.height * width) / image.width), width }
  return { height, width }
}

/** Qwen-VL's. */
function byPixels(
  image: Size,
  { factor, minPixels, maxPixels }: { factor: number; minPixels: number; maxPixels: number },
): Size {
  const toMultiple = (edge: number, round: (value: number) => number): number =>
    Math.max(factor, round(edge / factor) * factor)
  const pixels = toMultiple(image.height, roundEven) * toMultiple(image.width, roundEven)
  if (pixels > maxPixels) {
    const less = Math.sqrt((image.height * image.width) / maxPixels)
    return { height: toMultiple(image.height / less, Math.floor), width: toMultiple(image.width / less, Math.floor) }
  }
  const more = pixels < minPixels ? Math.sqrt(minPixels / (image.height * image.width)) : 1
  const round = pixels < minPixels ? Math.ceil : roundEven
  return { height: toMultiple(image.height * more, round), width: toMultiple(image.width * more, round) }
}

function nearestMultiple(value: number, of: number): number {
  return roundEven(value / of) * of
}

function cutDown(value: number, divisor: number): number {
  return Math.floor(value / divisor) * divisor
}

/** As Python rounds: a half to the even neighbour. */
export function roundEven(value: number): number {
  const below = Math.floor(value)
  if (value - below !== 0.5) return Math.round(value)
  return below % 2 === 0 ? below : below + 1
}
