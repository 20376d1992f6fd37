import { z } from 'zod'

const numbers = z.array(z.number()).min(1)

/** What of timm's `pretrained_cfg` makes the pixels; the rest of it is about weights and training. */
const timmSchema = z.looseObject({
  input_size: z.tuple([z.int().min(1), z.int().min(1), z.int().min(1)]),
  interpolation: z.enum(['bilinear', 'bicubic', 'nearest', 'lanczos', '']).nullish(),
  crop_pct: z.number().gt(0).max(1).nullish(),
  crop_mode: z.enum(['center', 'squash']).nullish(),
  mean: numbers.nullish(),
  std: numbers.nullish(),
})
const resample = { nearest: 0, lanczos: 1, bilinear: 2, bicubic: 3, '': 3 } as const

/** The name of Hugging Face's processor for timm's models; its crops are rounded in another way. */
export const timmProcessor = 'TimmWrapperImageProcessor'

/**
 * timm's evaluation transform as fields of `preprocessor_config.json`: the shorter edge to `input_size / crop_pct`, and
 * the centre of it. Null for what is no such config, or one of other rules.
 */
export function fromTimm(config: unknown): Record<string, unknown> | null {
  const parsed = timmSchema.safeParse(config)
  if (!parsed.success) return null
  const { input_size: inputSize, interpolation, crop_pct: part, crop_mode: mode, mean, std } = parsed.data
  const [, height, width] = inputSize
  if (height !== width) return null
  const edge = Math.floor(height / (part ?? 0.875))
  return {
    image_processor_type: timmProcessor,
    size: mode === 'squash' ? { height: edge, width: edge } : { shortest_edge: edge },
    do_center_crop: true,
    crop_size: { height, width },
    resample: resample[interpolation ?? 'bicubic'],
    image_mean: mean ?? [0.485, 0.456, 0.406],
    image_std: std ?? [0.229, 0.224, 0.225],
  }
}
