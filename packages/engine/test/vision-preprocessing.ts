import { preprocessorConfigSchema, type Size } from '@vision-queue/models'
import sharp from 'sharp'

import type { TensorShape } from '../src/onnx/tensor.ts'
import { openVisionPixels, type VisionPixels } from '../src/images/vision-pixels.ts'

export const plain = { do_normalize: false, do_rescale: false }
export const idefics = {
  size: { longest_edge: 2048 },
  max_image_size: { longest_edge: 512 },
  do_image_splitting: true,
  resample: 1,
}
/** In the form of well-known models' own files. */
const pinpoints = [1, 2, 3, 4].flatMap((row) => [1, 2, 3, 4].map((column) => [384 * row, 384 * column]))
export const onevision = { size: { height: 384, width: 384 }, image_grid_pinpoints: pinpoints, resample: 3 }
export const qwen = {
  patch_size: 14,
  merge_size: 2,
  temporal_patch_size: 2,
  min_pixels: 3136,
  max_pixels: 1_003_520,
  resample: 3,
}
export const clip = { size: { shortest_edge: 224 }, do_center_crop: true, crop_size: 224, resample: 3 }
export const rules = { idefics, onevision, qwen, clip }

export const limits = { maxImagePixels: 20_000_000, shrinkAbovePixels: 1e6, heavyImageBytes: 1e8 }
export const images: TensorShape = { type: 'float32', dims: [null, 3, null, null] }
export const rows: TensorShape = { type: 'float32', dims: [null, null] }

/** Pixels of a folder with this preprocessor_config.json. */
export function openPixels(
  config: Record<string, unknown>,
  input = 'temporal_patch_size' in config ? rows : images,
  given = limits,
): VisionPixels {
  const preprocessing = preprocessorConfigSchema.parse({ ...plain, ...config })
  const folder = { name: 'seeing', version: '1', task: 'image-text-to-text', preprocessing }
  return openVisionPixels({ folder, ...given }, input)
}

/** A slope of red to the right and one of green downwards. */
export async function slopes({ height, width }: Size, format: 'png' | 'jpeg' = 'png'): Promise<Buffer> {
  const bytes = Buffer.alloc(width * height * 3)
  for (let at = 0; at < width * height; at += 1) {
    bytes[at * 3] = Math.floor(((at % width) * 256) / width)
    bytes[at * 3 + 1] = Math.floor((Math.floor(at / width) * 256) / height)
    bytes[at * 3 + 2] = 77
  }
  return sharp(bytes, { raw: { height, width, channels: 3 } })
    .toFormat(format)
    .toBuffer()
}
