import { z } from 'zod'

/** The longest edge that a resized image may have. */
export const mostPixels = 16_384
const pixels = z.int().min(1).max(mostPixels)
/** Qwen-VL's files give numbers of pixels under the names of edges. */
const edge = z.int().min(1)
const heightAndWidth = z.strictObject({ height: pixels, width: pixels })
const sizeSchema = z.union(
  [
    heightAndWidth,
    z.strictObject({ shortest_edge: edge, longest_edge: edge.optional() }),
    z.strictObject({ longest_edge: edge }),
    z.strictObject({ max_height: pixels, max_width: pixels }),
    z.strictObject({ height: pixels, max_width: pixels }),
    pixels,
  ],
  '{height, width}, {shortest_edge}, {shortest_edge, longest_edge}, {longest_edge}, {max_height, max_width}, {height, max_width} or a number, in pixels',
)
const perChannel = z
  .union([z.number().transform((number) => [number]), z.array(z.number())])
  .refine(({ length }) => [1, 3, 4].includes(length), 'three numbers, or one')

/** What is understood, and what it is where the file doesn't say it. */
export const fields = {
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
  temporal_patch_size: z.int().min(1).max(16).optional().describe('Qwen-VL: how often an image is repeated in a patch'),
  do_image_splitting: z.boolean().optional().describe('Idefics3 and SmolVLM: tiles, then the whole image'),
  max_image_size: z
    .strictObject({ longest_edge: pixels })
    .optional()
    .describe('Idefics3 and SmolVLM: the edge of a tile'),
  image_grid_pinpoints: z
    .array(z.tuple([pixels, pixels]), 'a list of [height, width]')
    .min(1)
    .optional()
    .describe('LLaVA-NeXT and -OneVision: the resolutions that images are cut from'),
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
export const irrelevant: ReadonlySet<string> = new Set([
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
  'aspect_ratio_setting',
  'vision_aspect_ratio',
  // Of Gemma 3's pan and scan, which is off, and of videos.
  'pan_and_scan_min_crop_size',
  'pan_and_scan_max_num_crops',
  'pan_and_scan_min_ratio_to_activate',
  'video_sampling',
  'do_sample_frames',
])

/** Why a field that is switched on can't be: it would change the pixels. */
export const refused: Readonly<Record<string, string>> = {
  do_pan_and_scan: 'not supported: it adds crops of long images',
  do_align_long_axis: 'not supported: it turns images by a quarter',
  max_num_patches: 'not supported: it makes patches of images',
}

export type PreprocessorFields = z.infer<z.ZodObject<typeof fields, z.core.$loose>>

/** Whose rules the fields follow, such as `ViTImageProcessorFast`; empty where the file doesn't say. */
export function processorOf(config: Record<string, unknown>): string {
  const named = config['image_processor_type'] ?? config['feature_extractor_type']
  return typeof named === 'string' ? named : ''
}

/** Whether a size is both edges. */
export function isHeightAndWidth(size: PreprocessorFields['size']): size is { height: number; width: number } {
  return typeof size === 'object' && 'width' in size
}
