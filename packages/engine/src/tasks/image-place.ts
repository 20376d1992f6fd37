interface Size {
  width: number
  height: number
}

/** Where a graph's image tensor lies in the upright original: tensors show it resized, some its centre only, some with ground around it. */
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

/** `decoded`: the image after it was resized. `tensor`: with where the image lies in it, below 0 where it is cropped. */
export function imagePlaceOf(original: Size, decoded: Size, tensor: Size & { left: number; top: number }): ImagePlace {
  const scaleX = original.width / decoded.width
  const scaleY = original.height / decoded.height
  return {
    width: original.width,
    height: original.height,
    tensor: { width: tensor.width, height: tensor.height },
    left: -tensor.left * scaleX,
    top: -tensor.top * scaleY,
    spanX: tensor.width * scaleX,
    spanY: tensor.height * scaleY,
  }
}

/** Corners in the order that Hugging Face's pipelines name them. */
export type Box = Record<'xmin' | 'ymin' | 'xmax' | 'ymax', number>

/** What boxes are counted in: fractions of the tensor, pixels of it, or fractions of the image without the ground around it. */
export type BoxUnit = 'fraction' | 'pixels' | 'image'

/** A box as one in pixels of the original: cut at its edges, rounded to a tenth. */
export function toOriginal({ xmin, ymin, xmax, ymax }: Box, place: ImagePlace, unit: BoxUnit): Box {
  const { width, height, tensor } = place
  const { left, top, spanX, spanY } = unit === 'image' ? { left: 0, top: 0, spanX: width, spanY: height } : place
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
