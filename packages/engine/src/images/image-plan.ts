import type { Size } from '@vision-queue/models'

import type { PixelArray, PixelType } from '../onnx/tensor.ts'
import type { DecodedImage } from './image-preprocessing.ts'

/** How closely a caller wants an image looked at. Never more closely than the model does by itself. */
export interface WantedDetail {
  /** `low`: the whole image only, in few pixels. Default: as the model does by itself, which is `high` as well. */
  detail?: 'low' | 'high' | 'auto' | undefined
  /** Of the image as it is looked at. Where no size of the model has so few, its smallest is taken. */
  maxPixels?: number | undefined
  /** Whether the prompt has other images beside it: LLaVA-OneVision then cuts none of them. Default: no. */
  hasOthers?: boolean | undefined
}

/** What all plans say. */
export interface PlannedSizes {
  /** Upright, in pixels. */
  original: Size
  /** The size in which the image is looked at, without what is laid around it. */
  used: Size
  /** Whether that is less than the original, in width or in height. */
  downscaled: boolean
  /** How many pieces `read` gives, in the order in which the features of the encoder come. */
  pieces: number
  /** Same image, same key, same model version: the same pixels. */
  key: string
}

/** Idefics3 and SmolVLM: rows x columns tiles, row by row, and then the whole image. Without rows there is the latter only. */
export type SplitPlan = PlannedSizes & { rule: 'split'; rows: number; columns: number }

/** LLaVA-NeXT and -OneVision: first the whole image, then the tiles, row by row. Without rows there is the former only. */
export type PinpointsPlan = PlannedSizes & { rule: 'pinpoints'; rows: number; columns: number; squares: boolean }

/** Qwen-VL: one piece, the patches. The language model sees `time * height * width / mergeSize ** 2` of them. */
export type PatchesPlan = PlannedSizes & {
  rule: 'patches'
  grid: { time: number; height: number; width: number }
  mergeSize: number
}

/** Models that take one tensor an image: CLIP's, SigLIP's, Gemma 3, PaliGemma, Florence-2, LLaVA. One piece. */
export type WholePlan = PlannedSizes & { rule: 'whole' }

/** How an image becomes pieces of the vision encoder's input. It is known from the image's size alone. */
export type ImagePlan = SplitPlan | PinpointsPlan | PatchesPlan | WholePlan

/** One item of the vision encoder's input. Its pixels are held as bytes, and become numbers when a batch is made. */
export interface PixelPiece {
  /** ``[3, height, width]``, or ``[patches, 3 * temporal * patch * patch]``. */
  dims: readonly number[]
  type: PixelType
  /** Writes all of its numbers, scaled and normalised, from `offset` on. */
  write: (target: PixelArray, offset: number) => void
  /** ``[height, width]``, 1 for each pixel of the image and 0 around it; null: all are the image's. */
  mask: Uint8Array | null
}

/** One rule with its sizes. */
export interface PieceRule {
  rule: ImagePlan['rule']
  /** Of every piece; a dimension that differs by image is null. */
  pieceDims: readonly (number | null)[]
  plan: (original: Size, wanted: WantedDetail) => ImagePlan
  /** Of a plan of this rule. `decode` gives the image in exactly that size, stretched if need be; null: as it is. */
  read: (decode: (size: Size | null) => Promise<DecodedImage>, plan: ImagePlan) => Promise<PixelPiece[]>
}

/** For what a rule is handed the plan of another one: a mistake of the caller's. */
export function otherRule({ rule }: ImagePlan): Error {
  return new Error(`the plan is of another rule, ${rule}`)
}

/** The part of a plan that follows from its sizes. */
export function plannedSizes(original: Size, used: Size): Pick<PlannedSizes, 'original' | 'used' | 'downscaled'> {
  return { original, used, downscaled: used.width < original.width || used.height < original.height }
}
