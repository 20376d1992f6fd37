import { z } from 'zod'

/** sharp's kernels for the resampling filters of PIL, whose numbers Hugging Face's files hold. */
const kernels = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' } as const
export type ResizeKernel = (typeof kernels)[keyof typeof kernels]

const pixels = z.int().min(1).max(4096)
const heightAndWidth = z.strictObject({ height: pixels, width: pixels })
const perChannel = z.tuple([z.number(), z.number(), z.number()], 'three numbers, for red, green and blue')

/** Fields that say nothing about the pixels, or only what we do anyway. */
const irrelevant = new Set([
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'auto_map',
  '_valid_processor_keys',
])

/**
 * What we understand of Hugging Face's `preprocessor_config.json`. A field that we don't support is
 * refused by name, because a model fed with other pixels than it was trained on is wrong without a
 * sound. Unknown fields pass only where they are off (null or false).
 */
export const preprocessorConfigSchema = z
  .looseObject({
    do_resize: z.literal(true, 'true: images are always resized').default(true),
    size: z.union(
      [heightAndWidth, z.strictObject({ shortest_edge: pixels }), pixels],
      '{height, width}, {shortest_edge} or a number, in pixels',
    ),
    resample: z
      .literal([0, 1, 2, 3], '0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic); others are not supported')
      .default(2),
    do_center_crop: z.boolean().default(false),
    crop_size: z.union([heightAndWidth, pixels]).optional(),
    do_rescale: z.boolean().default(true),
    rescale_factor: z.number().default(1 / 255),
    do_normalize: z.boolean().default(true),
    image_mean: perChannel.optional(),
    image_std: perChannel.optional(),
    do_convert_rgb: z.literal([true, null], 'true: models are always given RGB').default(true),
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
    const crop = square(value.crop_size)
    const resized = typeof value.size === 'object' && 'shortest_edge' in value.size ? null : square(value.size)
    const edge = typeof value.size === 'object' && 'shortest_edge' in value.size ? value.size.shortest_edge : null
    if (edge !== null && !value.do_center_crop) refuse('size', 'shortest_edge only together with do_center_crop')
    if (value.do_center_crop && crop !== null) {
      const room = resized ?? { height: edge ?? 0, width: edge ?? 0 }
      if (crop.height > room.height || crop.width > room.width) refuse('crop_size', 'no larger than size')
    }
  })

function square(size: number | { height: number; width: number } | undefined): {
  height: number
  width: number
} | null {
  if (size === undefined) return null
  return typeof size === 'number' ? { height: size, width: size } : size
}

/** How an image becomes a tensor: resized, cropped from the centre, and each channel scaled. */
export interface Preprocessing {
  /** `fill`: to exactly this size, whatever the proportions. `cover`: proportions kept, both edges at least this. */
  resize: { height: number; width: number; fit: 'fill' | 'cover' }
  kernel: ResizeKernel
  /** The size of the tensor: the resized image or its centre. */
  height: number
  width: number
  /** A channel's value is `byte * scale + shift`; in the order red, green, blue. */
  scale: [number, number, number]
  shift: [number, number, number]
}

/** The arithmetic of a parsed config: `(byte * rescale_factor - mean) / std` as one product and one sum. */
export function toPreprocessing(config: z.infer<typeof preprocessorConfigSchema>): Preprocessing {
  const size = config.size
  const resize =
    typeof size === 'object' && 'shortest_edge' in size
      ? { height: size.shortest_edge, width: size.shortest_edge, fit: 'cover' as const }
      : { ...(typeof size === 'number' ? { height: size, width: size } : size), fit: 'fill' as const }
  const { height, width } = (config.do_center_crop ? square(config.crop_size) : null) ?? resize
  const factor = config.do_rescale ? config.rescale_factor : 1
  const [meanR, meanG, meanB] = (config.do_normalize ? config.image_mean : undefined) ?? [0, 0, 0]
  const [stdR, stdG, stdB] = (config.do_normalize ? config.image_std : undefined) ?? [1, 1, 1]
  return {
    resize,
    kernel: kernels[config.resample],
    height,
    width,
    scale: [factor / stdR, factor / stdG, factor / stdB],
    shift: [-meanR / stdR, -meanG / stdG, -meanB / stdB],
  }
}
