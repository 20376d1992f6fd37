import { normalizes, type PreprocessorConfig } from './preprocessor-config.ts'
import { isHeightAndWidth, processorOf } from './preprocessor-fields.ts'
import { type Resize, roundEven, type Size } from './resize-rules.ts'
import { pixelBounds } from './tiling.ts'
import { timmProcessor } from './timm-config.ts'

/** sharp's kernels for the resampling filters of PIL, whose numbers Hugging Face's files hold. */
const kernels = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' } as const
export type ResizeKernel = (typeof kernels)[keyof typeof kernels]

/** Where an image lies on a ground larger than itself, and what that is: black as a pixel is, or 0 in the tensor. */
export interface Padding {
  at: 'corner' | 'centre'
  ground: 'black' | 'zero'
}

/** How an image becomes a tensor: resized, cropped from the centre or laid on a ground, and each channel scaled. */
export interface Preprocessing {
  /** Null: images are not resized, and others than of the tensor's size refused (or cropped, with `crop`). */
  resize: Resize | null
  kernel: ResizeKernel
  /** Whether a larger image gives its centre; `even`: half a pixel goes to the even side, as in torchvision. */
  crop: boolean
  cropRounds: 'down' | 'even'
  /** Null: nothing is laid around. */
  padding: Padding | null
  /** Whether the tensor is as large as each resized image. Else it is of the size below. */
  varies: boolean
  /** The size of the tensor: the resized image, its centre or its ground. Of one that varies, an example. */
  height: number
  width: number
  /** A channel's value is `byte * scale + shift`, in the order of the tensor's channels: one for each, or one for all. */
  scale: number[]
  shift: number[]
  /** Whether the files say that blue comes before red. */
  isBgr: boolean
}

/**
 * A parsed config as sizes and arithmetic: `(byte * rescale_factor - mean) / std` is one product and one
 * sum. `graphSize` is what the graph's input is fixed to, for configs without a size; null where
 * neither says it.
 */
export function toPreprocessing(config: PreprocessorConfig, graphSize: Size | null = null): Preprocessing | null {
  const geometry = toGeometry(config)
  const { crop, padding } = geometry
  const resize = geometry.resize ?? (graphSize === null ? null : ({ ...(crop ?? graphSize), fit: 'fill' } as const))
  const fixed = crop ?? geometry.ground ?? (resize?.fit === 'fill' ? resize : null)
  const example = fixed ?? (resize === null ? null : exampleOf(resize))
  if (example === null) return null
  return {
    ...toColours(config),
    resize: config.do_resize ? (resize ?? { height: example.height, width: example.width, fit: 'fill' }) : null,
    crop: crop !== null,
    cropRounds: processorOf(config) === timmProcessor ? 'even' : 'down',
    padding,
    varies: fixed === null && config.do_resize,
    height: example.height,
    width: example.width,
  }
}

/** What of the preprocessing holds for any size: the filter, the arithmetic and the order of colours. */
export function toColours(config: PreprocessorConfig): Pick<Preprocessing, 'kernel' | 'scale' | 'shift' | 'isBgr'> {
  const processor = processorOf(config)
  return {
    kernel: kernels[config.resample ?? usualResample(processor)],
    ...toArithmetic(config, processor),
    isBgr: config.do_flip_channel_order ?? processor.startsWith('MobileViT'),
  }
}

/** What the classes of Hugging Face resample by where the file doesn't say it. */
function usualResample(processor: string): 0 | 1 | 2 | 3 {
  if (processor.startsWith('EfficientNet')) return 0
  if (/^(Idefics3|SmolVLM)/.test(processor)) return 1
  return /^(CLIP|ChineseCLIP|Siglip|Bit|Blip|DeiT|DPT|Levit|Llava|PoolFormer|Qwen2VL|Vilt)/.test(processor) ? 3 : 2
}

function toArithmetic(config: PreprocessorConfig, processor: string): Pick<Preprocessing, 'scale' | 'shift'> {
  const factor = config.do_rescale ? config.rescale_factor : 1
  const offset = config.do_rescale && config.rescale_offset ? 1 : 0
  const isNormal = normalizes(config)
  const dividesAgain = config.include_top ?? processor.startsWith('EfficientNet')
  const means = (isNormal ? config.image_mean : undefined) ?? [0]
  const deviations = config.image_std ?? [1]
  const channels = Array.from({ length: Math.max(means.length, deviations.length) }, (_, index) => {
    const deviation = deviations[index] ?? deviations[0] ?? 1
    const divisor = (isNormal ? deviation : 1) * (dividesAgain ? deviation : 1)
    return { mean: means[index] ?? means[0] ?? 0, divisor }
  })
  return {
    scale: channels.map(({ divisor }) => factor / divisor),
    shift: channels.map(({ mean, divisor }) => -(mean + offset) / divisor),
  }
}

interface Geometry {
  resize: Resize | null
  crop: Size | null
  padding: Padding | null
  /** The size of the ground, where images are laid on one. */
  ground: Size | null
}

/** Processors of Hugging Face that take a `size` which is a number for the shorter edge; others make a square of it. */
const numberIsShortestEdge = /^(CLIP|ChineseCLIP|ConvNext|Levit|MobileNetV|MobileViT|PoolFormer)/
/** Those that bound the longer edge too, by 1333 where the file doesn't say it. */
const boundsLongest = /^(Detr|ConditionalDetr|DeformableDetr|Deta|Yolos|GroundingDino|TableTransformer)/

function toGeometry(config: PreprocessorConfig): Geometry {
  const processor = processorOf(config)
  const none = { padding: null, ground: null }
  const crop = config.do_center_crop && config.crop_size !== undefined ? square(config.crop_size) : null
  const part = config.crop_pct ?? (processor.startsWith('ConvNext') ? 224 / 256 : undefined)
  if (part !== undefined && config.size !== undefined) {
    const edge = edgeOf(config.size)
    const larger = { ...square(Math.floor(edge / part)), fit: 'cover' } as const
    if (processor.startsWith('PoolFormer')) return { ...none, resize: larger, crop: crop ?? square(edge) }
    // ConvNextImageProcessor's rule: large ones are squeezed into the square, not cropped.
    if (edge >= 384) return { ...none, resize: { ...square(edge), fit: 'fill' }, crop: null }
    return { ...none, resize: larger, crop: square(edge) }
  }
  const resize = toResize(config, processor)
  if (config.do_pad && config.do_thumbnail && isHeightAndWidth(config.size)) {
    return { resize, crop, padding: { at: 'centre', ground: 'black' }, ground: config.size }
  }
  if (config.do_pad && config.pad_size !== undefined) {
    return { resize, crop, padding: { at: 'corner', ground: 'zero' }, ground: config.pad_size }
  }
  return { ...none, resize, crop }
}

function toResize(config: PreprocessorConfig, processor: string): Resize | null {
  const { size, size_divisor: divisor = 0, ensure_multiple_of: multipleOf } = config
  if (config.max_pixels !== undefined || processor.startsWith('Qwen2VL')) {
    const factor = (config.patch_size ?? 14) * (config.merge_size ?? 2)
    return { fit: 'pixels', factor, ...pixelBounds(config) }
  }
  if (divisor > 0 && (size === undefined || processor.startsWith('GLPN'))) return { fit: 'divided', divisor }
  if (size === undefined) return null
  if (isHeightAndWidth(size)) {
    if (config.do_thumbnail) return { ...size, fit: 'thumbnail' }
    if (config.keep_aspect_ratio) return { ...size, fit: 'multiple', multipleOf }
    const toMultiple = (edge: number): number => Math.max(1, roundEven(edge / multipleOf)) * multipleOf
    return { height: toMultiple(size.height), width: toMultiple(size.width), fit: 'fill' }
  }
  if (typeof size === 'number') {
    const isEdge = config.default_to_square === false || numberIsShortestEdge.test(processor)
    if (boundsLongest.test(processor)) return { fit: 'edges', shortest: size, longest: config.max_size ?? 1333 }
    return { ...square(size), fit: isEdge ? 'cover' : 'fill' }
  }
  if ('height' in size) return { height: size.height, width: size.max_width, fit: 'line', multipleOf }
  if ('max_height' in size) return { height: size.max_height, width: size.max_width, fit: 'within' }
  if (!('shortest_edge' in size)) return { fit: 'longest', longest: size.longest_edge }
  const { shortest_edge: shortest, longest_edge: longest = config.max_size } = size
  if (processor.startsWith('Vilt')) {
    return { fit: 'divided-edges', shortest, longest: Math.floor((1333 / 800) * shortest), divisor: divisor || 32 }
  }
  // LevitImageProcessor's rule, for files that say the size of the crop.
  if (processor.startsWith('Levit')) return { ...square(Math.floor((256 / 224) * shortest)), fit: 'cover' }
  if (longest !== undefined) return { fit: 'edges', shortest, longest }
  return boundsLongest.test(processor)
    ? { fit: 'edges', shortest, longest: 1333 }
    : { ...square(shortest), fit: 'cover' }
}

function edgeOf(size: NonNullable<PreprocessorConfig['size']>): number {
  if (typeof size === 'number') return size
  if ('shortest_edge' in size) return size.shortest_edge
  return 'height' in size ? size.height : 'longest_edge' in size ? size.longest_edge : size.max_height
}

/** Of a rule whose sizes depend on the image: one that it may give. */
function exampleOf(resize: Resize): Size {
  switch (resize.fit) {
    case 'edges':
    case 'divided-edges':
      return { height: resize.shortest, width: Math.min(resize.longest, resize.shortest * 2) }
    case 'line':
      return { height: resize.height, width: Math.min(resize.width, resize.height * 8) }
    case 'longest':
      return square(resize.longest)
    case 'divided':
      return square(resize.divisor * 8)
    case 'pixels':
      return square(Math.max(1, Math.floor(Math.sqrt(resize.maxPixels) / resize.factor)) * resize.factor)
    default:
      return { height: resize.height, width: resize.width }
  }
}

function square(size: number | Size): Size {
  return typeof size === 'number' ? { height: size, width: size } : size
}
