import { isHeightAndWidth, type PreprocessorFields, processorOf } from './preprocessor-fields.ts'
import type { Size } from './resize-rules.ts'

/**
 * How a vision-language model's image becomes pieces of its encoder's input.
 * `whole`: one tensor, as for any other task. `squares`: the image is laid on a square of its mean colour first (LLaVA).
 * `split`: Idefics3 and SmolVLM: the longer edge becomes `longest`, then both multiples of `tile`, and the image is cut into
 * tiles, which are followed by the whole of it; unless it `splits`, there is the whole of it only.
 * `pinpoints`: LLaVA-NeXT and -OneVision: the whole of it, then the tiles of the best of these resolutions;
 * `squaresSeveral`: beside other images there is the whole of it only, laid on a square.
 * `patches`: Qwen-VL: both edges become multiples of `patch * merge`, and the image is handed over as a list of patches.
 */
export type Tiling =
  | { rule: 'whole'; squares: boolean }
  | { rule: 'split'; tile: number; longest: number; splits: boolean }
  | { rule: 'pinpoints'; tile: number; resolutions: Size[]; squaresSeveral: boolean }
  | { rule: 'patches'; patch: number; merge: number; temporal: number; minPixels: number; maxPixels: number }

/** Idefics3ImageProcessor's own sizes, where the file has none, and the most that its longer edge becomes. */
const idefics = { tile: 364, longest: 4 * 364, most: 4096 }

export function toTiling(config: PreprocessorFields): Tiling {
  const processor = processorOf(config)
  if (isSplit(config)) {
    const longest =
      config.size !== undefined && hasLongestEdge(config.size) ? config.size.longest_edge : idefics.longest
    const tile = config.max_image_size?.longest_edge ?? idefics.tile
    return {
      rule: 'split',
      tile,
      longest: Math.min(longest, idefics.most),
      splits: config.do_image_splitting ?? true,
    }
  }
  if (config.image_grid_pinpoints !== undefined) {
    return {
      rule: 'pinpoints',
      tile: tileOf(config) ?? 0,
      resolutions: config.image_grid_pinpoints.map(([height, width]) => ({ height, width })),
      squaresSeveral: processor.startsWith('LlavaOnevision'),
    }
  }
  if (isPatches(config)) {
    const [patch, merge] = [config.patch_size ?? 14, config.merge_size ?? 2]
    return { rule: 'patches', patch, merge, temporal: config.temporal_patch_size ?? 2, ...pixelBounds(config) }
  }
  return { rule: 'whole', squares: squares(config) }
}

/** The field because of which an image is no single tensor, so that only vision-language models take it; null: it is one. */
export function piecesField(config: PreprocessorFields): string | null {
  const { rule } = toTiling(config)
  switch (rule) {
    case 'split':
      return 'do_image_splitting'
    case 'pinpoints':
      return 'image_grid_pinpoints'
    case 'patches':
      return config.temporal_patch_size === undefined ? 'image_processor_type' : 'temporal_patch_size'
    case 'whole':
      return squares(config) ? 'do_pad' : null
    default:
      return rule satisfies never
  }
}

/** How few and how many pixels a resized image of Qwen-VL has; of newer files these are called edges. */
export function pixelBounds(config: PreprocessorFields): { minPixels: number; maxPixels: number } {
  const { size } = config
  const [least, most] =
    size !== undefined && hasLongestEdge(size) && 'shortest_edge' in size ? [size.shortest_edge, size.longest_edge] : []
  return {
    minPixels: config.min_pixels ?? least ?? 56 * 56,
    maxPixels: config.max_pixels ?? most ?? 28 * 28 * 1280,
  }
}

/** What of the fields for tiles contradicts each other. */
export function tilingProblems(config: PreprocessorFields): [string, string][] {
  const isIdefics = /^(Idefics3|SmolVLM)/.test(processorOf(config))
  const isInPieces = isSplit(config) || isPatches(config) || config.image_grid_pinpoints !== undefined
  if (isInPieces && !config.do_resize) return [['do_resize', 'needed on where an image becomes several pieces']]
  if (config.do_image_splitting === true && !isIdefics && config.max_image_size === undefined) {
    return [['do_image_splitting', 'not supported without max_image_size, as Idefics3 and SmolVLM have it']]
  }
  if (isSplit(config) && config.size !== undefined && !hasLongestEdge(config.size)) {
    return [['size', '{longest_edge}, where images are cut into tiles']]
  }
  if (config.image_grid_pinpoints === undefined) return []
  const tile = tileOf(config)
  if (tile === null) return [['size', 'needed with image_grid_pinpoints, and as large as crop_size']]
  const isWhole = config.image_grid_pinpoints.every((edges) => edges.every((edge) => edge % tile === 0))
  return isWhole ? [] : [['image_grid_pinpoints', `[height, width], both multiples of the tiles' ${tile} pixels`]]
}

function isSplit(config: PreprocessorFields): boolean {
  return config.max_image_size !== undefined || /^(Idefics3|SmolVLM)/.test(processorOf(config))
}

function isPatches(config: PreprocessorFields): boolean {
  return config.temporal_patch_size !== undefined || /^Qwen\d?_?\d?VL/.test(processorOf(config))
}

/** LlavaImageProcessor's do_pad. */
function squares(config: PreprocessorFields): boolean {
  return config.do_pad && /^LlavaImageProcessor/.test(processorOf(config))
}

/** The edge of LLaVA's tiles; null where the fields say two. */
function tileOf({ size, do_center_crop: crops, crop_size: crop }: PreprocessorFields): number | null {
  const edges = [
    ...(typeof size === 'number' ? [size] : []),
    ...(isHeightAndWidth(size) ? [size.height, size.width] : []),
    ...(typeof size === 'object' && 'shortest_edge' in size ? [size.shortest_edge] : []),
    ...(!crops || crop === undefined ? [] : typeof crop === 'number' ? [crop] : [crop.height, crop.width]),
  ]
  const [first] = edges
  return first !== undefined && edges.every((edge) => edge === first) ? first : null
}

function hasLongestEdge(
  size: NonNullable<PreprocessorFields['size']>,
): size is Extract<typeof size, object> & { longest_edge: number } {
  return typeof size === 'object' && 'longest_edge' in size && size.longest_edge !== undefined
}
