import { z } from 'zod'

import {
  fields,
  irrelevant,
  isHeightAndWidth,
  mostPixels,
  type PreprocessorFields,
  processorOf,
  refused,
} from './preprocessor-fields.ts'
import { tilingProblems, toTiling } from './tiling.ts'
import { fromTimm } from './timm-config.ts'

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
export type PreprocessorConfig = PreprocessorFields

function withoutNulls(config: unknown): unknown {
  if (typeof config !== 'object' || config === null) return config
  const timm = 'pretrained_cfg' in config ? fromTimm(config.pretrained_cfg) : null
  if (timm !== null) return timm
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null))
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
  found.push(...tilingProblems(config))
  if (hasLargeEdges(config) && toTiling(config).rule !== 'patches') {
    found.push(['size', `edges of ${mostPixels} pixels at most`])
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

function hasLargeEdges({ size }: PreprocessorConfig): boolean {
  return typeof size === 'object' && Object.values(size).some((edge) => (edge ?? 0) > mostPixels)
}

function toBoth(size: number | { height: number; width: number }): { height: number; width: number } {
  return typeof size === 'number' ? { height: size, width: size } : size
}
