interface Size {
  width: number
  height: number
}

/** Where a graph's image tensor lies in the upright original: tensors show it resized, and some its centre only. */
export interface ImagePlace {
  /** The upright original, in pixels. */
  width: number
  height: number
  /** The tensor's left upper corner in the original, in pixels. */
  left: number
  top: number
  /** The tensor, in pixels of its own. */
  tensor: Size
  /** What the tensor's whole width and height are in the original, in pixels. */
  spanX: number
  spanY: number
}

/** `decoded`: the image after it was resized, from whose centre the tensor was cut. */
export function placeOf(original: Size, decoded: Size, tensor: Size): ImagePlace {
  const scaleX = original.width / decoded.width
  const scaleY = original.height / decoded.height
  return {
    width: original.width,
    height: original.height,
    tensor: { width: tensor.width, height: tensor.height },
    left: Math.floor((decoded.width - tensor.width) / 2) * scaleX,
    top: Math.floor((decoded.height - tensor.height) / 2) * scaleY,
    spanX: tensor.width * scaleX,
    spanY: tensor.height * scaleY,
  }
}

/** Corners in the order that Hugging Face's pipelines name them. */
export type Box = Record<'xmin' | 'ymin' | 'xmax' | 'ymax', number>

/** A box of the tensor, in pixels of it or in fractions, as one in pixels of the original: cut at its edges, rounded to a tenth. */
export function toOriginal(
  { xmin, ymin, xmax, ymax }: Box,
  { width, height, left, top, tensor, spanX, spanY }: ImagePlace,
  unit: 'fraction' | 'pixels',
): Box {
  const scaleX = unit === 'pixels' ? spanX / tensor.width : spanX
  const scaleY = unit === 'pixels' ? spanY / tensor.height : spanY
  const within = (value: number, most: number): number => Math.round(Math.min(most, Math.max(0, value)) * 10) / 10
  return {
    xmin: within(left + xmin * scaleX, width),
    ymin: within(top + ymin * scaleY, height),
    xmax: within(left + xmax * scaleX, width),
    ymax: within(top + ymax * scaleY, height),
  }
}
