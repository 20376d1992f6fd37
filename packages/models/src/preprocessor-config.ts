import { z } from 'zod'

import { fromTimm } from './timm-config.ts'

const pixels = z.int().min(1).max(16_384)
const heightAndWidth = z.strictObject({ height: pixels, width: pixels })
const sizeSchema = z.union(
  [
    heightAndWidth,
    z.strictObject({ shortest_edge: pixels, longest_edge: pixels.optional() }),
    z.strictObject({ longest_edge: pixels }),
    z.strictObject({ max_height: pixels, max_width: pixels }),
    z.strictObject({ height: pixels, max_width: pixels }),
    pixels,
  ],
  '{height, width}, {shortest_edge}, {shortest_edge, longest_edge}, {longest_edge}, {max_height, max_width}, {height, max_width} or a number, in pixels',
)
const perChannel = z
  .union([z.number().transform((number) => [number]), z.array(z.number())])
  .refine(({ length }) => [1, 3, 4].includes(length), 'three numbers, or one')

const fields = {
  do_resize: z.boolean().default(true),
  size: sizeSchema.optional().describe('without it, the size that the graph takes'),
  resample: z
    .literal([0, 1, 2, 3], '0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic); others are not supported')
    .optional(),
  default_to_square: z.boolean().optional().describe('whether a size that is a number is both edges, or the shorter'),
  max_size: pixels.optional().describe('of old DETR files: the longer edge'),
  crop_pct: z.number().gt(0).max(1).optional().describe('ConvNeXt and ResNet: crop / shorter edge, below 384 pixels'),
  do_center_crop: z.boolean().default(false),
  crop_size: z.union([heightAndWidth, pixels]).optional(),
  do_thumbnail: z.boolean().default(false).describe('Donut: the resized image is shrunk until it fits into size'),
  do_pad: z.boolean().default(false),
  pad_size: heightAndWidth.optional(),
  keep_aspect_ratio: z.boolean().default(false).describe('DPT'),
  ensure_multiple_of: pixels.default(1).describe('DPT'),
  size_divisor: z.int().min(0).optional().describe('ViLT and GLPN: both edges are multiples of it'),
  min_pixels: z.int().min(1).optional(),
  max_pixels: z.int().min(1).optional().describe('Qwen-VL: the most pixels of a resized image'),
  patch_size: pixels.optional(),
  merge_size: pixels.optional(),
  do_rescale: z.boolean().default(true),
  rescale_factor: z.number().default(1 / 255),
  rescale_offset: z.boolean().default(false).describe('EfficientNet: 1 is taken away after rescaling'),
  do_normalize: z.boolean().optional().describe('on, but for processors that never do'),
  image_mean: perChannel.optional(),
  image_std: perChannel.optional(),
  include_top: z.boolean().optional().describe('EfficientNet: the pixels are divided by image_std once more'),
  do_flip_channel_order: z.boolean().optional().describe('MobileViT: blue before red'),
  data_format: z.literal('channels_first', 'channels_first').default('channels_first'),
}

/** Fields that say nothing about the pixels, or only what we do anyway: images are RGB, and each is of its own size. */
const irrelevant = new Set([
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'auto_map',
  '_valid_processor_keys',
  'do_convert_rgb',
  'input_data_format',
  'return_tensors',
  'device',
  'disable_grouping',
  // Of annotations, labels and texts, which come with no job.
  'format',
  'do_convert_annotations',
  'do_reduce_labels',
  'reduce_labels',
  'ignore_index',
  'num_labels',
  'num_text',
  'class_info_file',
  'repo_path',
  'metadata',
  'apply_ocr',
  'ocr_lang',
  'tesseract_config',
  'image_seq_length',
  'image_seq_len',
  'num_image_tokens',
  'tasks_answer_post_processing_type',
  'task_prompts_without_inputs',
  'task_prompts_with_input',
  'architecture',
  'label_names',
  'temporal_patch_size',
  'aspect_ratio_setting',
])

/** Why a field that is switched on can't be: it would change the pixels. */
const refused: Record<string, string> = {
  do_image_splitting: 'not supported: it cuts images into tiles, and no task of this release takes several',
  image_grid_pinpoints: 'not supported: it cuts images into tiles, and no task of this release takes several',
  do_align_long_axis: 'not supported: it turns images by a quarter',
  max_num_patches: 'not supported: it makes patches of images',
  max_image_size: 'not supported: it is the size of tiles',
}

/**
 * What we understand of Hugging Face's `preprocessor_config.json`, which writes null for what is not set. A field that
 * we don't support is refused by name, because a model fed with other pixels than it was trained on is wrong
 * without a sound. Unknown fields pass only where they are off (null or false). A timm model's `pretrained_cfg` is
 * understood in its place.
 */
export const preprocessorConfigSchema = z.preprocess(
  withoutNulls,
  z.looseObject(fields).check(({ value, issues }) => {
    const refuse = (field: string, message: string): void => {
      issues.push({ code: 'custom', path: [field], message, input: value })
    }
    for (const [field, setting] of Object.entries(value)) {
      if (field in fields || irrelevant.has(field) || setting === false) continue
      refuse(field, refused[field] ?? 'not supported')
    }
    for (const [field, message] of contradictions(value)) refuse(field, message)
  }),
)
export type PreprocessorConfig = z.infer<typeof preprocessorConfigSchema>

function withoutNulls(config: unknown): unknown {
  if (typeof config !== 'object' || config === null) return config
  const timm = 'pretrained_cfg' in config ? fromTimm(config.pretrained_cfg) : null
  if (timm !== null) return timm
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null))
}

/** Whose rules the fields follow, such as `ViTImageProcessorFast`; empty where the file doesn't say. */
export function processorOf(config: Record<string, unknown>): string {
  const named = config['image_processor_type'] ?? config['feature_extractor_type']
  return typeof named === 'string' ? named : ''
}

/** Processors that have no fields for it, as they never normalise. */
const neverNormalises = /^(MobileViT|GLPN)/

export function normalizes(config: PreprocessorConfig): boolean {
  const isStated = config.image_mean !== undefined || config.image_std !== undefined
  return config.do_normalize ?? (isStated || !neverNormalises.test(processorOf(config)))
}

function contradictions(config: PreprocessorConfig): [string, string][] {
  const found: [string, string][] = []
  const processor = processorOf(config)
  if (normalizes(config)) {
    const isTimm = 'architecture' in config && config.size === undefined
    const needed = isTimm
      ? 'missing, and so is pretrained_cfg: write `preprocessing` in model.json'
      : 'needed where do_normalize is on'
    if (config.image_mean === undefined) found.push(['image_mean', needed])
    if (config.image_std === undefined) found.push(['image_std', needed])
  }
  if (config.image_std?.includes(0) === true) found.push(['image_std', 'no zero, since it is divided by'])
  if (config.do_center_crop && config.crop_size === undefined) {
    found.push(['crop_size', 'needed where do_center_crop is on'])
  }
  if (config.do_center_crop && config.crop_size !== undefined && config.crop_pct === undefined) {
    const smallest = smallestEdges(config.size)
    const { height, width } = toBoth(config.crop_size)
    if (smallest !== null && (height > smallest.height || width > smallest.width)) {
      found.push(['crop_size', 'no larger than size'])
    }
  }
  if (/^Owlv2/.test(processor) && config.do_pad)
    found.push(['do_pad', 'not supported: it lays images on a grey square'])
  if (config.do_pad && (config.size_divisor ?? 0) > 0 && !/^Vilt/.test(processor)) {
    found.push(['size_divisor', 'not supported together with do_pad'])
  } else if ((config.size_divisor ?? 0) > 0 && !/^(Vilt|GLPN)/.test(processor)) {
    found.push(['size_divisor', 'not supported but for ViLT and GLPN'])
  }
  if (config.do_thumbnail && !isHeightAndWidth(config.size))
    found.push(['do_thumbnail', 'only with size {height, width}'])
  if (config.keep_aspect_ratio && !isHeightAndWidth(config.size)) {
    found.push(['keep_aspect_ratio', 'only with size {height, width}'])
  }
  return found
}

/** The least that both edges are after resizing, where the size alone says it. */
function smallestEdges(size: PreprocessorConfig['size']): { height: number; width: number } | null {
  if (typeof size === 'number' || isHeightAndWidth(size)) return toBoth(size)
  return size !== undefined && 'shortest_edge' in size && size.longest_edge === undefined
    ? toBoth(size.shortest_edge)
    : null
}

function toBoth(size: number | { height: number; width: number }): { height: number; width: number } {
  return typeof size === 'number' ? { height: size, width: size } : size
}

/** Whether a size is both edges. */
export function isHeightAndWidth(size: PreprocessorConfig['size']): size is { height: number; width: number } {
  return typeof size === 'object' && 'width' in size
}
