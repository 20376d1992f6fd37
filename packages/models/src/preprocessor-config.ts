import { z } from 'zod'

/** sharp's kernels for the resampling filters of PIL, whose numbers Hugging Face's files hold. */
const kernels = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' } as const
export type ResizeKernel = (typeof kernels)[keyof typeof kernels]

const pixels = z.int().min(1).max(4096)
const heightAndWidth = z.strictObject({ height: pixels, width: pixels })
const sizeSchema = z.union(
  [heightAndWidth, z.strictObject({ shortest_edge: pixels }), pixels],
  '{height, width}, {shortest_edge} or a number, in pixels',
)
const perChannel = z.array(z.number()).refine(({ length }) => length === 3 || length === 1, 'three numbers, or one')

/** Fields that say nothing about the pixels, or only what we do anyway. */
const irrelevant = new Set([
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'auto_map',
  '_valid_processor_keys',
])

/** Processors of Hugging Face that take a `size` which is a number for the shorter edge; others make a square of it. */
const numberIsShortestEdge = /^(CLIP|ChineseCLIP|ConvNext|Levit|MobileNetV|MobileViT|PoolFormer)/

/**
 * What we understand of Hugging Face's `preprocessor_config.json`. A field that we don't support is
 * refused by name, because a model fed with other pixels than it was trained on is wrong without a
 * sound. Unknown fields pass only where they are off (null or false).
 */
export const preprocessorConfigSchema = z
  .looseObject({
    do_resize: z.boolean().default(true),
    size: sizeSchema.optional().describe('without it, the size that the graph takes'),
    resample: z
      .literal([0, 1, 2, 3], '0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic); others are not supported')
      .default(2),
    crop_pct: z.number().gt(0).max(1).nullish().describe('ConvNeXt and ResNet: crop / shorter edge, below 384 pixels'),
    do_center_crop: z.boolean().default(false),
    crop_size: z.union([heightAndWidth, pixels]).optional(),
    do_rescale: z.boolean().default(true),
    rescale_factor: z.number().default(1 / 255),
    do_normalize: z.boolean().default(true),
    image_mean: perChannel.optional(),
    image_std: perChannel.optional(),
    do_convert_rgb: z.literal([true, null], 'true: the channels are what the graph takes').default(true),
    data_format: z.literal(['channels_first', null], 'channels_first').default('channels_first'),
  })
  .check(({ value, issues }) => {
    const refuse = (field: string, message: string): void => {
      issues.push({ code: 'custom', path: [field], message, input: value })
    }
    for (const [field, setting] of Object.entries(value)) {
      if (field in preprocessorConfigSchema.shape || irrelevant.has(field)) continue
      if (setting !== null && setting !== false) refuse(field, 'not supported')
    }
    if (value.do_normalize && value.image_mean === undefined) refuse('image_mean', 'needed where do_normalize is on')
    if (value.do_normalize && value.image_std === undefined) refuse('image_std', 'needed where do_normalize is on')
    if (value.image_std?.includes(0) === true) refuse('image_std', 'no zero, since it is divided by')
    if (value.do_center_crop && value.crop_size === undefined) refuse('crop_size', 'needed where do_center_crop is on')
    const { resize, crop } = geometry(value)
    if (resize?.fit === 'cover' && crop === null) refuse('size', 'shortest_edge only together with do_center_crop')
    if (resize !== null && crop !== null && (crop.height > resize.height || crop.width > resize.width)) {
      refuse('crop_size', 'no larger than size')
    }
  })
export type PreprocessorConfig = z.infer<typeof preprocessorConfigSchema>

interface Size {
  height: number
  width: number
}

/** `fill`: to exactly this size, whatever the proportions. `cover`: proportions kept, the shorter edge at this. */
export type Resize = Size & { fit: 'fill' | 'cover' }

/** How an image becomes a tensor: resized, cropped from the centre, and each channel scaled. */
export interface Preprocessing {
  /** Null: images are not resized, and others than of the tensor's size refused (or cropped, with `crop`). */
  resize: Resize | null
  kernel: ResizeKernel
  /** Whether a larger image gives its centre. */
  crop: boolean
  /** The size of the tensor: the resized image or its centre. */
  height: number
  width: number
  /** A channel's value is `byte * scale + shift`, in the order of the tensor's channels: three, or one for all. */
  scale: number[]
  shift: number[]
}

/**
 * A parsed config as sizes and arithmetic: `(byte * rescale_factor - mean) / std` is one product and one
 * sum. `graphSize` is what the graph's input is fixed to, for configs without a size; null where
 * neither says it.
 */
export function toPreprocessing(config: PreprocessorConfig, graphSize: Size | null = null): Preprocessing | null {
  const { resize, crop } = geometry(config)
  const tensor = crop ?? resize ?? graphSize
  if (tensor === null) return null
  const factor = config.do_rescale ? config.rescale_factor : 1
  const means = (config.do_normalize ? config.image_mean : undefined) ?? [0]
  const deviations = (config.do_normalize ? config.image_std : undefined) ?? [1]
  const channels = Array.from({ length: Math.max(means.length, deviations.length) }, (_, index) => ({
    mean: means[index] ?? means[0] ?? 0,
    deviation: deviations[index] ?? deviations[0] ?? 1,
  }))
  return {
    resize: config.do_resize ? (resize ?? { ...tensor, fit: 'fill' }) : null,
    kernel: kernels[config.resample],
    crop: crop !== null,
    height: tensor.height,
    width: tensor.width,
    scale: channels.map(({ deviation }) => factor / deviation),
    shift: channels.map(({ mean, deviation }) => -mean / deviation),
  }
}

function geometry(config: z.output<typeof preprocessorConfigSchema>): { resize: Resize | null; crop: Size | null } {
  const { size, crop_pct: cropPart } = config
  if (typeof cropPart === 'number' && size !== undefined) {
    const edge = typeof size === 'number' ? size : 'shortest_edge' in size ? size.shortest_edge : size.height
    // ConvNextImageProcessor's rule: large ones are squeezed into the square, not cropped.
    if (edge >= 384) return { resize: { ...square(edge), fit: 'fill' }, crop: null }
    return { resize: { ...square(Math.floor(edge / cropPart)), fit: 'cover' }, crop: square(edge) }
  }
  const crop = config.do_center_crop && config.crop_size !== undefined ? square(config.crop_size) : null
  if (size === undefined) return { resize: null, crop }
  if (typeof size === 'number') {
    const processor = config['image_processor_type'] ?? config['feature_extractor_type']
    const isEdge = typeof processor === 'string' && numberIsShortestEdge.test(processor)
    return { resize: { ...square(size), fit: isEdge ? 'cover' : 'fill' }, crop }
  }
  if ('shortest_edge' in size) return { resize: { ...square(size.shortest_edge), fit: 'cover' }, crop }
  return { resize: { ...size, fit: 'fill' }, crop }
}

function square(size: number | Size): Size {
  return typeof size === 'number' ? { height: size, width: size } : size
}
